import Conformance
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

struct InMemoryExporterTests {
  @Test func keepsThePromisesOfAnExporter() async throws {
    let disk = InMemoryDisk(pools: ["fast": .gibibytes(1)])
    let fabric = InMemoryFabric()
    let neighbour = InMemoryExporter(fabric: fabric, portal: "node-2", disks: ["memory": disk])
    let backend = InMemoryBackend(name: "memory", disk: disk)
    let volume = try await backend.ensured(
      .random(),
      VolumeRequest(
        revision: 1, backend: "memory", pool: "fast", size: .mebibytes(1),
        description: VolumeDescription(name: "", project: "", type: "")))
    _ = try await neighbour.ensure(
      Export(
        attachment: .random(), volume: volume.id, revision: 1, backend: "memory", pool: "fast", path: volume.path,
        initiator: "iqn.2026-11.org.example:a", readOnly: false, chapUser: "u", chapSecret: "s"))
    try await ExporterConformance(
      InMemoryExporter(fabric: fabric, portal: "node-1", disks: ["memory": disk]),
      initiator: InMemoryInitiator(fabric: fabric), backend: backend, pool: "fast",
      hooks: ExporterConformance.Hooks(
        restartTarget: { fabric.forgetTargets(at: "node-1") },
        foreign: { "\(fabric.targets.filter { $0.portal == "node-2" })" })
    ).check()
  }

  @Test func keepsThePromisesOfAConnector() async throws {
    let disk = InMemoryDisk(pools: ["fast": .gibibytes(1)])
    let fabric = InMemoryFabric()
    try await ConnectorConformance(
      InMemoryConnector(fabric: fabric, initiator: "iqn.2026-11.io.pumice:node-9"),
      exporter: InMemoryExporter(fabric: fabric, portal: "node-1", disks: ["memory": disk]),
      backend: InMemoryBackend(name: "memory", disk: disk), pool: "fast", deadPortal: "node-0"
    ).check()
    #expect(fabric.sessions.isEmpty && fabric.targets.isEmpty)
  }

  @Test func aFenceEndsTheConnectorsSession() async throws {
    let disk = InMemoryDisk(pools: ["fast": .gibibytes(1)])
    let fabric = InMemoryFabric()
    let backend = InMemoryBackend(name: "memory", disk: disk)
    let exporter = InMemoryExporter(fabric: fabric, portal: "node-1", disks: ["memory": disk])
    let connector = InMemoryConnector(fabric: fabric, initiator: "iqn.2026-11.io.pumice:node-9")
    let volume = try await backend.ensured(
      .random(),
      VolumeRequest(
        revision: 1, backend: "memory", pool: "fast", size: .mebibytes(1),
        description: VolumeDescription(name: "", project: "", type: "")))
    let attachment = AttachmentID.random()
    let export = Export(
      attachment: attachment, volume: volume.id, revision: 1, backend: "memory", pool: "fast", path: volume.path,
      initiator: connector.description.initiatorName(for: attachment), readOnly: false, chapUser: "u", chapSecret: "s")
    let target = try await exporter.ensure(export)
    _ = try await connector.connect(
      attachment,
      ConnectionRequest(revision: 1, volume: volume.id, instance: .random(), size: .mebibytes(1), target: target))
    #expect(fabric.sessions.map(\.attachment) == [attachment])
    try await exporter.remove(export, remaining: [])
    #expect(fabric.sessions.isEmpty)
  }
}
