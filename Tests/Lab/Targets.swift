import Foundation
import LabBed
import PumiceModel
import PumiceWire
import TestBed
import Testing

extension LabTests {
  /// A storage node that exports through its kernel, seen from another machine.
  @Suite(.timeLimit(.minutes(5))) struct Targets {
    @Test func exportsAndWhatWasFlushedAreThereAfterAPowerCutWithoutACoordinator() async throws {
      try await withStorageNode { storage in
        let export = try await storage.export()
        #expect(try await storage.serial(behind: export) == "\(export.volume)")
        try await storage.qemuIO(["write -P 0xAB 0 1M", "flush"], export)

        try await storage.node.powerCut()
        try await storage.node.start()
        #expect(try await storage.node.run("ls /sys/kernel/config/target").contains("iscsi") == false)
        try await storage.agent.start()

        try await eventually("the export is back") { try await storage.serial(behind: export) == "\(export.volume)" }
        try await storage.qemuIO(["read -P 0xAB 0 1M", "read -P 0 1M 1M"], export)
      }
    }

    @Test func aGuestReadsOnWhileTheAgentIsKilledAndStartedAgain() async throws {
      try await withStorageNode { storage in
        let export = try await storage.export()
        async let reads: Void = storage.qemuIO(
          (0..<40).flatMap { ["write -P \($0) 0 64k", "sleep 100", "read -P \($0) 0 64k"] }, export)
        for _ in 0..<3 {
          try await storage.agent.kill9()
          try await storage.agent.start()
          #expect(try await storage.client.inventory().exports.map(\.attachment) == [export.attachment])
        }
        try await reads
      }
    }

    @Test func afterTheLastExportNothingIsLeftAndTheInitiatorIsOut() async throws {
      try await withStorageNode { storage in
        let export = try await storage.export()
        let writer = try storage.startQEMUIO((0..<1000).flatMap { ["write -P \($0 % 256) 0 64k", "sleep 20"] }, export)
        try await eventually("it is logged in") {
          try await storage.node.run("cat /sys/kernel/config/target/iscsi/*/tpgt_1/acls/*/info").contains("LOGGED_IN")
        }

        try await storage.client.removeExport(export.attachment, ExportRemoval(revision: 3))

        await #expect(throws: TestBedFailure.self) { try await storage.serial(behind: export) }
        #expect(try await storage.node.run("find /sys/kernel/config/target/iscsi -maxdepth 1 -name 'iqn*'").isEmpty)
        #expect(try await storage.node.run("find /sys/kernel/config/target/core -name '*\(export.volume)'").isEmpty)
        // It asks to come back for as long as it runs, and is not let in.
        let content = "find /var/lib/volumes -type f -exec cksum {} +"
        let written = try await storage.node.run(content)
        try await Task.sleep(for: .seconds(1))
        #expect(writer.isRunning)
        #expect(try await storage.node.run(content) == written)
        _ = try await storage.client.removeVolume(
          export.volume, VolumeRemoval(revision: 4, backend: "files", pool: "files"))
      }
    }

    private func withStorageNode(_ work: (StorageNode) async throws -> Void) async throws {
      try await Lab.with { lab in
        let node = try lab.node("storage", number: 11)
        try await node.start()
        let storage = try await StorageNode(node, lab)
        try await storage.agent.start()
        try await work(storage)
      }
    }
  }
}

/// A node with an agent that belongs to no fleet.
private struct StorageNode: Sendable {
  struct Exported: Sendable {
    let attachment: AttachmentID
    let volume: VolumeID
    let target: ExportedTarget
  }

  let node: LabNode
  let agent: NodeDaemon
  let client: NodeClient
  private let lab: Lab

  init(_ node: LabNode, _ lab: Lab) async throws {
    let address = "\(node.address):9776"
    let token = "a-token-of-the-lab-tests"
    let configuration = try lab.bed.folder.write(
      """
      name: \(node.name)
      listen: \(address)
      token_file: \(try lab.bed.folder.write(token, to: "token"))
      state_directory: /var/lib/pumice-agent
      backends: [{name: files, kind: directory, path: /var/lib/volumes}]
      exporter: {kind: lio, portals: ["\(node.address):3260"]}

      """, to: "\(node.name).yaml")
    try await node.run("mkdir -p -m 0700 /var/lib/volumes")
    let network = lab.network
    agent = NodeDaemon(
      "pumice-agent", [try Binaries.path("pumice-agent"), "--config", configuration], on: node
    ) { network.answers(address) }
    client = NodeClient(
      node.name, at: try await lab.url(ofServiceAt: address), token: token, transport: HTTPTransport())
    self.node = node
    self.lab = lab
  }

  func export() async throws -> Exported {
    let volume = VolumeID.random()
    let request = VolumeRequest(
      revision: 1, backend: "files", pool: "files", size: .mebibytes(16),
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
    try await eventually("the volume is there") { try await client.ensureVolume(volume, request).isComplete }
    let attachment = AttachmentID.random()
    let target = try await client.ensureExport(
      attachment,
      ExportRequest(
        revision: 2, volume: volume, backend: "files", pool: "files",
        initiator: "iqn.2026-11.org.example:\(attachment)"))
    return Exported(attachment: attachment, volume: volume, target: target)
  }

  /// INQUIRY page 0x80, as libiscsi's own tool reads it.
  func serial(behind export: Exported) async throws -> String {
    let target = export.target
    let url =
      "iscsi://\(target.chapUser)%\(target.chapSecret)@\(target.portals[0])/\(target.iqn)/\(target.lun)"
    return try await lab.unitSerial(at: url, as: target.initiator)
  }

  /// Throws when a command fails, or what was read is not what was expected.
  func qemuIO(_ commands: [String], _ export: Exported) async throws {
    let output = try await lab.bed.run(qemuIOCommand(commands, export))
    // It ends with 0 when a pattern does not match.
    guard !output.contains("failed"), !output.contains("error") else { throw TestBedFailure(output) }
  }

  func startQEMUIO(_ commands: [String], _ export: Exported) throws -> LocalProcess {
    try lab.bed.start(qemuIOCommand(commands, export), name: "qemu-io")
  }

  private func qemuIOCommand(_ commands: [String], _ export: Exported) -> [String] {
    let target = export.target
    let image =
      "driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=\(target.portals[0]),file.target=\(target.iqn),"
      + "file.lun=\(target.lun),file.user=\(target.chapUser),file.password=\(target.chapSecret),"
      + "file.initiator-name=\(target.initiator)"
    return lab.network.entering(
      ["qemu-io", "-t", "none", "--image-opts", image] + commands.flatMap { ["-c", $0] })
  }
}
