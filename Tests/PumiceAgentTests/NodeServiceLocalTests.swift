import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// Volumes that are devices of the node whose instances use them.
@Suite struct NodeServiceLocalTests {
  private let fixture = NodeFixture()
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()
  private let active = Shared<[VolumeID]>([])

  /// A freshly started agent.
  private func start(_ backend: (any VolumeBackend)? = nil) -> NodeService {
    NodeService(
      NodeIdentity(name: "n1", address: ""),
      drivers: NodeDrivers(
        backends: [backend ?? DeviceBackend(backend: InMemoryBackend(name: "mem", disk: fixture.disk), active: active)],
        exporter: InMemoryExporter(fabric: fixture.fabric, portal: "n1", disks: ["mem": fixture.disk]),
        hypervisor: InMemoryHypervisor(world: fixture.hypervisorWorld),
        connector: InMemoryConnector(fabric: fixture.fabric, initiator: fixture.initiator), local: .local(on: "n1")),
      exports: InMemoryRecordStore(on: fixture.exportShelf),
      connections: InMemoryRecordStore(on: fixture.connectionShelf), logger: .silent)
  }

  private func exportRequest(_ revision: Revision = 1, initiator: String = "local:n1") -> ExportRequest {
    ExportRequest(revision: revision, volume: volume, backend: "mem", pool: "mem", initiator: initiator)
  }

  private func attach(by node: NodeService) async throws {
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    let target = try await node.ensureExport(attachment, exportRequest())
    _ = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target))
  }

  private func expect(_ code: StorageError.Code, _ call: () async throws -> Void) async {
    let told = await #expect(throws: StorageError.self) { try await call() }
    #expect(told?.code == code)
  }

  @Test func theNodeSaysWhichOfItsVolumesItsInstancesCanUse() async throws {
    let report = try await start().report()
    #expect(report.connectors.map(\.protocolName) == ["memory", "local"])
    #expect(report.pools.map { $0.capabilities["storage_protocol"] } == [["memory", "local"]])
    let files = try await start(InMemoryBackend(name: "mem", disk: fixture.disk)).report()
    #expect(files.pools.map { $0.capabilities["storage_protocol"] } == [["memory"]])
  }

  @Test func theInstanceGetsTheDeviceItselfAndNothingIsOffered() async throws {
    let node = start()
    for _ in 1...2 { try await attach(by: node) }
    let path = try #require(fixture.exportRecords.first?.export.path)
    #expect(fixture.hypervisorWorld.slots.map(\.disk.source) == [.block(path: path)])
    #expect(active.withLock { $0 } == [volume])
    let exporter = InMemoryExporter(fabric: fixture.fabric, portal: "n1", disks: ["mem": fixture.disk])
    #expect(try await exporter.exports().isEmpty)
    #expect(try await node.inventory().exports.map(\.isOffered) == [true])
  }

  @Test func whileAnInstanceHasTheDeviceItIsNeitherWithdrawnNorRemovedNorOfferedToOthers() async throws {
    let node = start()
    try await attach(by: node)
    await expect(.inUse) { try await node.removeExport(attachment, ExportRemoval(revision: 2)) }
    await expect(.inUse) { _ = try await node.removeVolume(volume, fixture.removal(2)) }
    await expect(.inUse) {
      _ = try await node.ensureExport(attachment, exportRequest(3, initiator: "iqn.2026-11.test:c1"))
    }
    #expect(active.withLock { $0 } == [volume])

    let removal = ConnectionRemoval(revision: 4, instance: fixture.instance)
    for _ in 1...2 {
      try await node.removeConnection(attachment, removal)
      try await node.removeExport(attachment, ExportRemoval(revision: 4))
    }
    #expect(active.withLock { $0 }.isEmpty)
    #expect(fixture.exportRecords.isEmpty && fixture.connectionRecords.isEmpty && fixture.pluggedAttachments.isEmpty)
    #expect(try await node.removeVolume(volume, fixture.removal(5)).isComplete)
  }

  @Test func whatWasWithdrawnCanNotBePlugged() async throws {
    let node = start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    let target = try await node.ensureExport(attachment, exportRequest())
    try await node.removeExport(attachment, ExportRemoval(revision: 2))
    await expect(.conflict) {
      _ = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target))
    }
    #expect(fixture.pluggedAttachments.isEmpty)
  }

  @Test func afterARestartTheDeviceIsThereAgainForItsInstance() async throws {
    try await attach(by: start())
    active.withLock { $0 = [] }
    let outcome = await start().restore()
    #expect(outcome.failures.isEmpty && outcome.restored == 2)
    #expect(active.withLock { $0 } == [volume])
    #expect(fixture.pluggedAttachments == [attachment])
  }

  @Test func onlyInstancesOfTheNodeAndOnlyDevicesDoWithoutATarget() async throws {
    let node = start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    await expect(.unsupported) { _ = try await node.ensureExport(attachment, exportRequest(initiator: "local:n2")) }
    var readOnly = exportRequest()
    readOnly.readOnly = true
    await expect(.unsupported) { _ = try await node.ensureExport(attachment, readOnly) }
    let files = start(InMemoryBackend(name: "mem", disk: fixture.disk))
    await expect(.unsupported) { _ = try await files.ensureExport(attachment, exportRequest()) }
    #expect(fixture.exportRecords.isEmpty)
  }
}

/// Volumes that have to be made ready, as those of LVM.
private struct DeviceBackend: ActivatingBackend {
  let backend: InMemoryBackend
  let active: Shared<[VolumeID]>

  var name: String { backend.name }
  func pools() async -> [PoolReport] { await backend.pools() }
  func volumes() async throws(StorageError) -> [StoredVolume] { try await backend.volumes() }
  func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? { try await backend.volume(id) }
  func ensure(
    _ id: VolumeID, _ request: VolumeRequest, sourceInUse: Bool
  ) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.ensure(id, request, sourceInUse: sourceInUse)
  }
  func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try await backend.remove(id, pool: pool)
  }
  func snapshots() async throws(StorageError) -> [StoredSnapshot] { try await backend.snapshots() }
  func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    try await backend.ensureSnapshot(id, request, inUse: inUse)
  }
  func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String
  ) async throws(StorageError) -> Progress { try await backend.removeSnapshot(id, of: volume, pool: pool) }
  func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.revert(id, request)
  }
  func activate(_ id: VolumeID, pool: String) async throws(StorageError) {
    active.withLock { if !$0.contains(id) { $0.append(id) } }
  }
  func deactivate(_ id: VolumeID, pool: String) async throws(StorageError) {
    active.withLock { $0.removeAll { $0 == id } }
  }
}
