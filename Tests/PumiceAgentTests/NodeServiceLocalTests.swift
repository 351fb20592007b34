import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// Volumes that are devices of the node whose instances use them.
@Suite struct NodeServiceLocalTests {
  private let fixture = NodeFixture(isLocal: true)
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  /// An agent whose volumes are no devices.
  private func startWithoutDevices() -> NodeService {
    NodeService(
      NodeIdentity(name: "n1", address: ""),
      drivers: NodeDrivers(
        backends: [InMemoryBackend(name: "mem", disk: fixture.disk)],
        exporter: InMemoryExporter(fabric: fixture.fabric, portal: "n1", disks: ["mem": fixture.disk]),
        hypervisor: InMemoryHypervisor(world: fixture.hypervisorWorld),
        connector: InMemoryConnector(fabric: fixture.fabric, initiator: fixture.initiator), local: .local(on: "n1")),
      exports: InMemoryRecordStore(on: fixture.exportShelf),
      connections: InMemoryRecordStore(on: fixture.connectionShelf), logger: .silent)
  }

  private func exportRequest(_ revision: Revision = 1, initiator: String = "local:n1") -> ExportRequest {
    ExportRequest(revision: revision, volume: volume, backend: "mem", pool: "mem", initiator: initiator)
  }

  private func attach(by node: NodeService) async throws { try await fixture.attach(volume, attachment, by: node) }

  private func expect(_ code: StorageError.Code, _ call: () async throws -> Void) async {
    let told = await #expect(throws: StorageError.self) { try await call() }
    #expect(told?.code == code)
  }

  @Test func theNodeSaysWhichOfItsVolumesItsInstancesCanUse() async throws {
    let report = try await fixture.start().report()
    #expect(report.connectors.map(\.protocolName) == ["memory", "local"])
    #expect(report.pools.map { $0.capabilities["storage_protocol"] } == [["memory", "local"]])
    let files = try await startWithoutDevices().report()
    #expect(files.pools.map { $0.capabilities["storage_protocol"] } == [["memory"]])
  }

  @Test func theInstanceGetsTheDeviceItselfAndNothingIsOffered() async throws {
    let node = fixture.start()
    for _ in 1...2 { try await attach(by: node) }
    let path = try #require(fixture.exportRecords.first?.export.path)
    #expect(fixture.hypervisorWorld.slots.map(\.disk.source) == [.block(path: path)])
    #expect(fixture.disk.active == [volume])
    let exporter = InMemoryExporter(fabric: fixture.fabric, portal: "n1", disks: ["mem": fixture.disk])
    #expect(try await exporter.exports().isEmpty)
    #expect(try await node.inventory().exports.map(\.isOffered) == [true])
  }

  @Test func whileAnInstanceHasTheDeviceItIsNeitherWithdrawnNorRemovedNorOfferedToOthers() async throws {
    let node = fixture.start()
    try await attach(by: node)
    await expect(.inUse) { try await node.removeExport(attachment, ExportRemoval(revision: 2)) }
    await expect(.inUse) { _ = try await node.removeVolume(volume, fixture.removal(2)) }
    await expect(.inUse) {
      _ = try await node.ensureExport(attachment, exportRequest(3, initiator: "iqn.2026-11.test:c1"))
    }
    #expect(fixture.disk.active == [volume])

    let removal = ConnectionRemoval(revision: 4, instance: fixture.instance)
    for _ in 1...2 {
      try await node.removeConnection(attachment, removal)
      try await node.removeExport(attachment, ExportRemoval(revision: 4))
    }
    #expect(fixture.disk.active.isEmpty)
    #expect(fixture.exportRecords.isEmpty && fixture.connectionRecords.isEmpty && fixture.pluggedAttachments.isEmpty)
    #expect(try await node.removeVolume(volume, fixture.removal(5)).isComplete)
  }

  @Test func whatWasWithdrawnCanNotBePlugged() async throws {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    let target = try await node.ensureExport(attachment, exportRequest())
    try await node.removeExport(attachment, ExportRemoval(revision: 2))
    await expect(.conflict) {
      _ = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target))
    }
    #expect(fixture.pluggedAttachments.isEmpty)
  }

  @Test func afterARestartTheDeviceIsThereAgainForItsInstance() async throws {
    try await attach(by: fixture.start())
    fixture.disk.deactivateAll()
    let outcome = await fixture.start().restore()
    #expect(outcome.failures.isEmpty && outcome.restored == 2)
    #expect(fixture.disk.active == [volume])
    #expect(fixture.pluggedAttachments == [attachment])
  }

  @Test func onlyInstancesOfTheNodeAndOnlyDevicesDoWithoutATarget() async throws {
    let node = fixture.start()
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    await expect(.unsupported) { _ = try await node.ensureExport(attachment, exportRequest(initiator: "local:n2")) }
    var readOnly = exportRequest()
    readOnly.readOnly = true
    await expect(.unsupported) { _ = try await node.ensureExport(attachment, readOnly) }
    let files = startWithoutDevices()
    await expect(.unsupported) { _ = try await files.ensureExport(attachment, exportRequest()) }
    #expect(fixture.exportRecords.isEmpty)
  }
}
