import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// A host that uses its own logical volumes, with nothing in between.
@Suite(.serialized) struct LocalDiskTests {
  @Test(.timeLimit(.minutes(5)), arguments: [LVMBackendConfiguration.Provisioning.thin, .thick])
  func aHostUsesItsOwnLogicalVolumeWithoutATarget(_ provisioning: LVMBackendConfiguration.Provisioning) async throws {
    try await VolumeGroupOfATest.with("vgl") { group in
      let records = InMemoryRecordShelf<HostDisk>()
      let (exports, connections) = (InMemoryRecordShelf<ExportRecord>(), InMemoryRecordShelf<ConnectionRecord>())
      let host = InstanceID.random()
      func start() async throws -> NodeService {
        NodeService(
          NodeIdentity(name: "n1", address: ""),
          drivers: NodeDrivers(
            backends: [try await LVMBackend.open(group.configuration(provisioning), logger: .silent)],
            hypervisor: HostHypervisor(id: host, name: "n1", disks: InMemoryRecordStore(on: records)),
            connector: KernelISCSIConnector(initiator: "iqn.2026-11.io.pumice:node-n1", logger: .silent),
            local: .local(on: "n1")),
          exports: InMemoryRecordStore(on: exports), connections: InMemoryRecordStore(on: connections), logger: .silent)
      }
      func attach(_ volume: VolumeID, _ revision: Revision, _ size: ByteCount, _ node: NodeService) async throws {
        let export = ExportRequest(
          revision: revision, volume: volume, backend: "lvm", pool: "lvm", initiator: "local:n1")
        let target = try await node.ensureExport(attachment(of: volume), export)
        _ = try await node.ensureConnection(
          attachment(of: volume),
          ConnectionRequest(revision: revision, volume: volume, instance: host, size: size, target: target))
      }
      func detach(_ volume: VolumeID, _ revision: Revision, _ node: NodeService) async throws {
        try await node.removeConnection(
          attachment(of: volume), ConnectionRemoval(revision: revision, instance: host))
        try await node.removeExport(attachment(of: volume), ExportRemoval(revision: revision))
      }
      var node = try await start()
      let (volume, snapshot) = (VolumeID.random(), SnapshotID.random())
      let device = "/dev/disk/by-pumice/\(volume)"
      let sum = "dd if=\(device) bs=1M count=4 iflag=direct 2>/dev/null | sha256sum"
      func write() async throws -> String {
        try await sh("dd if=/dev/urandom of=\(device) bs=1M count=4 oflag=direct conv=fsync 2>/dev/null; \(sum)")
      }

      try await finished { try await node.ensureVolume(volume, group.request(.mebibytes(8))) }
      #expect(try await sh("lvs --noheadings -o active \(group.name)/volume-\(volume)").contains("active") == false)
      try await attach(volume, 1, .mebibytes(8), node)
      let written = try await write()

      // While it is held open: it grows, and is not taken away.
      let holder = try await sh("sleep 600 <\(device) >/dev/null 2>&1 & echo $!")
      try await finished { try await node.ensureVolume(volume, group.request(.mebibytes(16), revision: 2)) }
      try await attach(volume, 2, .mebibytes(16), node)
      #expect(try await sh("blockdev --getsize64 \(device)") == "\(16 << 20)\n")
      try await finished { try await node.ensureSnapshot(snapshot, group.snapshotRequest(of: volume)) }
      let told = await #expect(throws: StorageError.self) { try await detach(volume, 3, node) }
      #expect(told?.code == .inUse && told?.message.contains("sleep") == true, "\(told as Any)")
      #expect(try await sh(sum) == written)
      try await sh("kill \(holder)")
      try await attach(volume, 4, .mebibytes(16), node)

      // An agent that starts anew finds all as it was; so does one on a node that was switched off and on.
      try await sh("rm \(device); lvchange -an \(group.name)/volume-\(volume)")
      node = try await start()
      let outcome = await node.restore()
      #expect(outcome.failures.isEmpty)
      #expect(try await sh(sum) == written)

      #expect(try await write() != written)
      try await detach(volume, 5, node)
      #expect(try await sh("lvs --noheadings -o active \(group.name)/volume-\(volume)").contains("active") == false)
      try await finished {
        try await node.revertVolume(
          volume, RevertRequest(revision: 6, snapshot: snapshot, backend: "lvm", pool: "lvm"))
      }
      try await attach(volume, 6, .mebibytes(16), node)
      #expect(try await sh(sum) == written)
      try await detach(volume, 7, node)

      try await finished {
        try await node.removeSnapshot(
          snapshot, SnapshotRemoval(revision: 8, volume: volume, backend: "lvm", pool: "lvm"))
      }
      try await finished {
        try await node.removeVolume(volume, VolumeRemoval(revision: 9, backend: "lvm", pool: "lvm"))
      }
      #expect(try await group.names() == [])
    }
  }

  private func attachment(of volume: VolumeID) -> AttachmentID { AttachmentID(high: volume.high, low: volume.low) }

  private func finished(_ call: () async throws -> Progress) async throws {
    for _ in 0..<600 {
      if try await call().isComplete { return }
      try await Task.sleep(for: .milliseconds(100))
    }
    Issue.record("It did not end.")
  }
}
