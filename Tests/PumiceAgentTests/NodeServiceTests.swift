import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// What `NodeAPI` promises, promise by promise.
@Suite struct NodeServiceTests {
  private let fixture = NodeFixture()
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  private func code(_ body: () async throws -> Void) async -> StorageError.Code? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? StorageError)?.code
    }
  }

  // MARK: Volumes

  @Test func ensuredVolumesAreThereAndRepeatsAreHarmless() async throws {
    let node = fixture.start()
    for _ in 1...2 { #expect(try await node.ensureVolume(volume, fixture.volumeRequest()).isComplete) }
    let found = try await node.inventory().volumes
    #expect(
      found == [Inventory.StoredVolume(id: volume, backend: "mem", pool: "mem", size: .gibibytes(1), revision: 1)])
  }

  @Test func volumesGrowAndNeverShrink() async throws {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(1, size: .gibibytes(2)))
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(2, size: .gibibytes(4)))
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(3, size: .gibibytes(1)))
    #expect(try await node.inventory().volumes.map(\.size) == [.gibibytes(4)])
  }

  @Test func removedVolumesAreGoneAndRepeatsAreHarmless() async throws {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    for _ in 1...2 { #expect(try await node.removeVolume(volume, fixture.removal(2)).isComplete) }
    #expect(fixture.disk.contents.isEmpty)
  }

  @Test func aVolumeOnAnUnknownBackendIsNotFound() async {
    let node = fixture.start()
    var request = fixture.volumeRequest()
    request.backend = "nowhere"
    #expect(await code { _ = try await node.ensureVolume(volume, request) } == .notFound)
  }

  @Test(arguments: [0, -1]) func sizesMustBePositive(size: Int64) async {
    let node = fixture.start()
    let error = await #expect(throws: StorageError.self) {
      _ = try await node.ensureVolume(volume, fixture.volumeRequest(size: ByteCount(size)))
    }
    #expect(error?.field == "size")
  }

  @Test func callsOlderThanTheSidecarAreStale() async throws {
    _ = try await fixture.start().ensureVolume(volume, fixture.volumeRequest(5))
    let restarted = fixture.start()
    #expect(await code { _ = try await restarted.ensureVolume(volume, fixture.volumeRequest(4)) } == .stale)
    #expect(await code { _ = try await restarted.removeVolume(volume, fixture.removal(4)) } == .stale)
  }

  @Test func aLatePutAfterADeleteIsStale() async throws {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(1))
    _ = try await node.removeVolume(volume, fixture.removal(2))
    #expect(await code { _ = try await node.ensureVolume(volume, fixture.volumeRequest(1)) } == .stale)
    #expect(fixture.disk.contents.isEmpty)
  }

  @Test func anExportedVolumeIsInUse() async throws {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    _ = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    #expect(await code { _ = try await node.removeVolume(volume, fixture.removal(2)) } == .inUse)
    try await node.removeExport(attachment, ExportRemoval(revision: 2))
    _ = try await node.removeVolume(volume, fixture.removal(2))
    #expect(fixture.disk.contents.isEmpty)
  }

  // MARK: Exports

  @Test func aVolumeThatIsNotThereCannotBeExported() async {
    let node = fixture.start()
    #expect(
      await code { _ = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment)) }
        == .notFound)
    #expect(fixture.exportRecords.isEmpty)
  }

  @Test func aRepeatedExportHasTheSameSecretAlsoAfterARestart() async throws {
    var node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    let first = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    let second = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment, 3))
    node = fixture.start()
    let third = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment, 3))
    #expect(first == second)
    #expect(first == third)
    #expect(first.chapSecret.count == 16)
  }

  @Test func everyAttachmentHasItsOwnAccount() async throws {
    let node = fixture.start()
    let other = AttachmentID.random()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(multiattach: true))
    let first = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    let second = try await node.ensureExport(other, fixture.exportRequest(volume, other))
    #expect(first.chapUser != second.chapUser)
    #expect(first.chapSecret != second.chapSecret)
  }

  @Test func aVolumeForOneIsExportedToNoOther() async throws {
    let node = fixture.start()
    let other = AttachmentID.random()
    try await fixture.attach(volume, attachment, by: node)
    let error = await #expect(throws: StorageError.self) {
      try await node.ensureExport(other, fixture.exportRequest(volume, other))
    }
    #expect(error?.code == .inUse && error?.message.contains("\(attachment)") == true)
    #expect(fixture.exportRecords.map(\.attachment) == [attachment])
    try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    try await node.removeExport(attachment, ExportRemoval(revision: 2))
    let target = try await node.ensureExport(other, fixture.exportRequest(volume, other))
    #expect(target.shareable == nil)
  }

  @Test func aVolumeForSeveralIsShareableToEach() async throws {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(multiattach: true))
    for id in [attachment, .random()] {
      #expect(try await node.ensureExport(id, fixture.exportRequest(volume, id)).shareable == true)
    }
    #expect(try await node.report().pools[0].capabilities["multiattach"] == ["True"])
  }

  @Test func aRemovedExportIsRefusedAndItsSessionEnded() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    #expect(fixture.fabric.sessions.count == 1)
    for _ in 1...2 { try await node.removeExport(attachment, ExportRemoval(revision: 2)) }
    #expect(fixture.fabric.targets.isEmpty)
    #expect(fixture.fabric.sessions.isEmpty)
    #expect(fixture.exportRecords.isEmpty)
  }

  @Test func removingOneExportLeavesTheOthers() async throws {
    let node = fixture.start()
    let other = AttachmentID.random()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(multiattach: true))
    for id in [attachment, other] { _ = try await node.ensureExport(id, fixture.exportRequest(volume, id)) }
    try await node.removeExport(attachment, ExportRemoval(revision: 2))
    #expect(try await node.inventory().exports.map(\.attachment) == [other])
  }

  @Test func anExportWithoutARecordIsRemovedAllTheSame() async throws {
    _ = try await fixture.start().ensureVolume(volume, fixture.volumeRequest())
    _ = try await fixture.start().ensureExport(attachment, fixture.exportRequest(volume, attachment))
    try await InMemoryRecordStore(on: fixture.exportShelf).remove(attachment)
    try await fixture.start().removeExport(attachment, ExportRemoval(revision: 2))
    #expect(fixture.fabric.targets.isEmpty)
  }

  @Test func anotherInitiatorGetsAnotherSecretAndTheOldOneIsFenced() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    let old = fixture.exportRecords[0].export
    var request = fixture.exportRequest(volume, attachment, 2)
    request.initiator = "iqn.2026-11.test:n2"
    let target = try await node.ensureExport(attachment, request)
    #expect(target.chapSecret != old.chapSecret)
    #expect(fixture.fabric.targets.flatMap(\.admissions).map(\.initiator) == ["iqn.2026-11.test:n2"])
    #expect(fixture.fabric.sessions.isEmpty)
  }

  @Test func anExportCannotMoveToAnotherVolume() async throws {
    let node = fixture.start()
    let other = VolumeID.random()
    for id in [volume, other] { _ = try await node.ensureVolume(id, fixture.volumeRequest()) }
    _ = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    #expect(
      await code { _ = try await node.ensureExport(attachment, fixture.exportRequest(other, attachment, 2)) }
        == .conflict)
  }

  @Test(arguments: ["", "iqn with space", "iqn,comma", "iqn\nline", String(repeating: "a", count: 224)])
  func initiatorNamesMustBePlain(name: String) async {
    let node = fixture.start()
    var request = fixture.exportRequest(volume, attachment)
    request.initiator = name
    let error = await #expect(throws: StorageError.self) { _ = try await node.ensureExport(attachment, request) }
    #expect(error?.field == "initiator")
  }

  @Test func aRemovalThatFailsStillKeepsOlderCallsOut() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    fixture.faults.fail(at: "exporter.remove")
    #expect(await code { try await node.removeExport(attachment, ExportRemoval(revision: 3)) } == .unavailable)
    fixture.faults.clear()
    let restarted = fixture.start()
    #expect(
      await code { _ = try await restarted.ensureExport(attachment, fixture.exportRequest(volume, attachment, 1)) }
        == .stale)
    try await restarted.removeExport(attachment, ExportRemoval(revision: 3))
    #expect(fixture.fabric.targets.isEmpty)
  }

  // MARK: Connections

  @Test func theInstanceHasTheDiskAndRepeatsAreHarmless() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    try await fixture.attach(volume, attachment, by: node)
    let slot = try #require(fixture.hypervisorWorld.slot(attachment, in: fixture.instance))
    #expect(slot.disk.volume == volume)
    #expect(slot.isLive && slot.isStored)
    #expect(try await node.inventory().connections.map(\.device) == ["vda"])
  }

  @Test func aGrownVolumeShowsItsSizeInTheInstance() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(2, size: .gibibytes(3)))
    #expect(fixture.fabric.targets.map(\.size) == [.gibibytes(3)])
    let target = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    let request = fixture.connectionRequest(volume, target, size: .gibibytes(3))
    _ = try await node.ensureConnection(attachment, request)
    #expect(fixture.hypervisorWorld.slot(attachment, in: fixture.instance)?.size == .gibibytes(3))
  }

  @Test func aLateRepeatDoesNotTakeASizeBack() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(2, size: .gibibytes(3)))
    let target = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    for size in [3, 1] {
      let request = fixture.connectionRequest(volume, target, size: .gibibytes(size))
      _ = try await node.ensureConnection(attachment, request)
    }
    #expect(fixture.connectionRecords.map(\.request.size) == [.gibibytes(3)])
    #expect(fixture.hypervisorWorld.slot(attachment, in: fixture.instance)?.size == .gibibytes(3))
  }

  @Test func anotherDeviceBehindTheTargetIsNeverPlugged() async throws {
    let node = fixture.start()
    let other = VolumeID.random()
    for id in [volume, other] { _ = try await node.ensureVolume(id, fixture.volumeRequest()) }
    let target = try await node.ensureExport(attachment, fixture.exportRequest(other, attachment))
    #expect(
      await code { _ = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target)) }
        == .wrongDevice)
    #expect(fixture.pluggedAttachments.isEmpty)
  }

  @Test func aRemovedConnectionLeavesNothing() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    for _ in 1...2 {
      try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    }
    #expect(fixture.pluggedAttachments.isEmpty)
    #expect(fixture.fabric.sessions.isEmpty)
    #expect(fixture.connectionRecords.isEmpty)
  }

  @Test func aDiskWithoutARecordIsUnpluggedByItsAlias() async throws {
    try await fixture.attach(volume, attachment, by: fixture.start())
    try await InMemoryRecordStore(on: fixture.connectionShelf).remove(attachment)
    try await fixture.start().removeConnection(
      attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    #expect(fixture.pluggedAttachments.isEmpty)
  }

  @Test func aFailedFirstConnectShowsInTheInventoryUntilItIsRemoved() async throws {
    let node = fixture.start()
    fixture.faults.fail(at: "hypervisor.plug")
    #expect(await code { try await fixture.attach(volume, attachment, by: node) } == .unavailable)
    fixture.faults.clear()
    #expect(try await node.inventory().connections.map(\.device) == [nil])
    try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    #expect(try await node.inventory().connections.isEmpty)
    #expect(fixture.fabric.sessions.isEmpty)
  }

  @Test func aLateConnectAfterADisconnectIsStale() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    let request = try #require(fixture.connectionRecords.first).request
    try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    #expect(await code { _ = try await node.ensureConnection(attachment, request) } == .stale)
    #expect(fixture.pluggedAttachments.isEmpty)
  }

  // MARK: What is there

  @Test func theReportSaysWhatTheDriversSay() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    let report = try await node.report()
    #expect(report.name == "n1")
    #expect(report.hypervisor == "memory")
    #expect(report.instances.map(\.id) == [fixture.instance])
    #expect(report.connectors.map(\.initiator) == [fixture.initiator])
    #expect(report.pools.map(\.pool) == ["mem"])
    let digest = try await node.inventory().digest
    #expect(report.inventoryDigest == digest)
    #expect(report.inventoryDigest != 0)
  }

  @Test func whatCannotBeReadIsNotReportedAsGone() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    let before = try await node.report()
    fixture.faults.fail(at: "hypervisor.instances")
    fixture.faults.fail(at: "hypervisor.disks")
    let after = try await node.report()
    #expect(after.instances.map(\.id) == before.instances.map(\.id))
    #expect(after.instances.map(\.status) == [.unknown])
    #expect(after.inventoryDigest == before.inventoryDigest)
    #expect(await code { _ = try await node.inventory() } == .unavailable)
  }

  @Test func poolsSpeakTheProtocolThatTheNodeExportsWith() async throws {
    let backend = InMemoryBackend(
      name: "mem", disk: fixture.disk, capabilities: ["storage_protocol": ["iSCSI"]])
    let node = NodeService(
      NodeIdentity(name: "n1", address: ""),
      drivers: NodeDrivers(
        backends: [backend], exporter: InMemoryExporter(fabric: fixture.fabric, portal: "n1", disks: [:])),
      exports: InMemoryRecordStore(), connections: InMemoryRecordStore(), logger: .silent)
    #expect(try await node.report().pools.map { $0.capabilities["storage_protocol"] } == [["memory"]])
  }

  @Test func aNodeWithoutAHypervisorRefusesConnectionsAndIsContentWithRemovals() async throws {
    let node = NodeService(
      NodeIdentity(name: "n1", address: ""), drivers: NodeDrivers(), exports: InMemoryRecordStore(),
      connections: InMemoryRecordStore(), logger: .silent)
    let target = ExportedTarget(
      portals: ["a:1"], iqn: "iqn.x:y", lun: 1, initiator: "iqn.x:z", chapUser: "u", chapSecret: "s")
    #expect(
      await code { _ = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target)) }
        == .unsupported)
    try await node.removeConnection(attachment, ConnectionRemoval(revision: 1, instance: fixture.instance))
    try await node.removeExport(attachment, ExportRemoval(revision: 1))
  }
}
