import Conformance
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// What a power cut leaves in the middle of a change of a thin pool: LVM has written it down, and the kernel has heard of it,
/// or has not.
@Suite(.serialized) struct LVMPendingMessagesTests {
  @Test func aVolumeThatThePoolWasNeverToldOfIsMade() async throws {
    try await withPool { pool in
      let volume = VolumeID.random()
      _ = try await pool.backend.ensured(volume, pool.group.request(.mebibytes(8)))
      try await pool.undeliver(creationOf: "volume-\(volume)")

      let backend = try await LVMBackend.open(pool.configuration, logger: .silent)

      try await backend.activate(volume, pool: "lvm")
      try await pool.requireNothingPending(volumes: ["volume-\(volume)"])
      try await backend.deactivate(volume, pool: "lvm")
    }
  }

  @Test func whatOneVolumeHeldIsNotInTheNext() async throws {
    try await withPool { pool in
      let (kept, removed, new) = (VolumeID.random(), VolumeID.random(), VolumeID.random())
      for volume in [kept, removed] {
        _ = try await pool.backend.ensured(volume, pool.group.request(.mebibytes(8)))
      }
      let path = "/dev/mapper/vgt-volume--"
      func device(_ volume: VolumeID) -> String { path + "\(volume)".replacing("-", with: "--") }
      try await pool.backend.activate(removed, pool: "lvm")
      try await sh("head -c 8388608 /dev/zero | tr '\\0' s | dd of=\(device(removed)) bs=1M oflag=direct status=none")
      try await pool.backend.deactivate(removed, pool: "lvm")
      // An earlier removal was delivered, and not crossed out.
      try await pool.writeDown("delete = 4711")

      let backend = try await LVMBackend.open(pool.configuration, logger: .silent)
      try await backend.erase(removed, pool: "lvm")
      _ = try await backend.ensured(new, pool.group.request(.mebibytes(8)))

      try await backend.activate(new, pool: "lvm")
      #expect(try await sh("tr -d '\\0' <\(device(new)) | wc -c").contains("0\n"))
      try await backend.deactivate(new, pool: "lvm")
      try await pool.requireNothingPending(volumes: ["volume-\(kept)", "volume-\(new)"])
    }
  }

  @Test func aSnapshotOfAVolumeInUseIsTakenAgain() async throws {
    try await withPool { pool in
      let (volume, snapshot) = (VolumeID.random(), SnapshotID.random())
      _ = try await pool.backend.ensured(volume, pool.group.request(.mebibytes(8)))
      _ = try await pool.backend.snapshotted(snapshot, pool.group.snapshotRequest(of: volume))
      try await pool.undeliver(creationOf: "_snapshot-\(snapshot)")
      try await sh("lvchange -ay -K vgt/volume-\(volume)")

      let backend = try await LVMBackend.open(pool.configuration, logger: .silent)

      #expect(try await backend.snapshots().isEmpty)
      _ = try await backend.snapshotted(snapshot, pool.group.snapshotRequest(of: volume))
      try await pool.requireNothingPending(volumes: ["volume-\(volume)", "_snapshot-\(snapshot)"])
      let copy = VolumeID.random()
      let request = pool.group.request(.mebibytes(8), source: .snapshot(snapshot, of: volume))
      _ = try await backend.ensured(copy, request)
      try await backend.activate(copy, pool: "lvm")
    }
  }

  @Test func aVolumeThatThePoolHasLostIsSaidToBeDamagedAndNotMadeAnew() async throws {
    try await withPool { pool in
      let volume = VolumeID.random()
      _ = try await pool.backend.ensured(volume, pool.group.request(.mebibytes(8)))
      try await sh("dmsetup message vgt-vgt--pool-tpool 0 'delete 1'")

      let backend = try await LVMBackend.open(pool.configuration, logger: .silent)

      _ = try await backend.ensured(volume, pool.group.request(.mebibytes(8)))
      let error = await #expect(throws: StorageError.self) { try await backend.activate(volume, pool: "lvm") }
      #expect(error?.code == .failed)
      #expect(error?.message.contains("The thin pool does not have it") == true, "\(error?.message ?? "")")
    }
  }

  // MARK: Parts

  private struct Pool {
    let group: VolumeGroupOfATest
    let configuration: LVMBackendConfiguration
    let backend: LVMBackend

    /// As if the power had been cut after LVM had written the newest creation down: the pool does not know of it.
    func undeliver(creationOf name: String) async throws {
      try await sh(
        """
        set -e
        new=$(dmsetup status vgt-vgt--pool-tpool | cut -d ' ' -f 4)
        dmsetup message vgt-vgt--pool-tpool 0 "delete $(lvs --noheadings -o thin_id vgt/\(name) | tr -d ' ')"
        dmsetup message vgt-vgt--pool-tpool 0 "set_transaction_id $new $((new - 1))"
        """)
      try await writeDown("create = \"\(name)\"")
    }

    /// Has LVM believe that it has not crossed this message out, and boots.
    func writeDown(_ message: String) async throws {
      try await sh(
        """
        set -e
        vgcfgbackup -qq -f /tmp/vgt.now vgt
        vgchange -qq -an vgt
        awk -v message='\(message)' '
          { print } /transaction_id/ && !done { done = 1; print "message1 {\\n" message "\\n}" }' /tmp/vgt.now >/tmp/vgt.then
        vgcfgrestore -qq -y --force -f /tmp/vgt.then vgt
        vgchange -qq -aay vgt
        """)
    }

    /// LVM and the pool are of one mind: just these volumes, and no message left.
    func requireNothingPending(volumes names: [String]) async throws {
      let text = try await sh(
        "vgcfgbackup -qq -f /tmp/vgt.now vgt; grep -c '^[[:space:]]*message' /tmp/vgt.now || true")
      #expect(text == "0\n")
      #expect(try await group.names() == names.sorted())
      let known = try await sh(
        """
        set -e
        dmsetup message vgt-vgt--pool-tpool 0 reserve_metadata_snap
        thin_ls --no-headers -o DEV -m /dev/mapper/vgt-vgt--pool_tmeta | tr -d ' ' | sort
        dmsetup message vgt-vgt--pool-tpool 0 release_metadata_snap
        """)
      let numbers = try await sh("lvs --noheadings -o thin_id vgt | tr -d ' ' | sed '/^$/d' | sort")
      #expect(known == numbers)
    }
  }

  private func withPool(_ body: (Pool) async throws -> Void) async throws {
    try await VolumeGroupOfATest.with("vgt") { group in
      let configuration = group.configuration(.thin)
      let backend = try await LVMBackend.open(configuration, logger: .silent)
      try await body(Pool(group: group, configuration: configuration, backend: backend))
    }
  }
}
