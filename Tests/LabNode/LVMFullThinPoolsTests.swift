import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Guests write more than there is. A thin pool runs full in two ways, each on its own: data and metadata.
struct LVMFullThinPoolsTests {
  enum Rescue: CaseIterable { case agent, operatorsHand }

  @Test(arguments: Rescue.allCases)
  func aPoolOutOfDataIsReportedAndServesAgainOnceItIsExtended(_ rescue: Rescue) async throws {
    try await ThinPoolOfATest.with(size: .mebibytes(64), metadata: .mebibytes(4)) {
      $0.autoExtend = rescue == .agent
    } _: {
      pool in
      let (backend, id) = (pool.backend, VolumeID.random())
      let volume = try await backend.ensured(id, pool.group.request(.mebibytes(96)))
      try await backend.activate(id, pool: "lvm")
      try await sh("dd if=/dev/urandom of=\(volume.path) bs=1M count=54 oflag=direct")
      let nearlyFull = try await pool.report()
      #expect(nearlyFull.downReason == nil)
      #expect(nearlyFull.dataPercent.map { $0 > 95 && $0 < 100 } == true)
      #expect(nearlyFull.warnings?.isEmpty == false)
      try await pool.expectRefusal(.noSpace, "max_data_percent", of: id)

      // The guest writes on. What finds no room waits for it, as the kernel does for a minute.
      async let written = sh("dd if=/dev/urandom of=\(volume.path) bs=1M seek=54 count=4 oflag=direct")
      try await pool.waitUntilDown("run out of data space")
      try await pool.expectRefusal(.unavailable, "run out of data space", of: id)
      switch rescue {
      case .agent:
        var watch = FillWatch()
        await backend.keep(&watch)
      case .operatorsHand: try await sh("lvextend -qq -y -L +64m vgt/vgt-pool")
      }
      _ = try await written
      let extended = try await pool.report()
      #expect(extended.total > .mebibytes(64))
      #expect(extended.dataPercent.map { $0 < 95 } == true)
      try await pool.expectService()
    }
  }

  @Test func aPoolThatFillsIsExtendedBeforeItIsFull() async throws {
    try await ThinPoolOfATest.with(size: .mebibytes(64), metadata: .mebibytes(4)) { pool in
      let (backend, id) = (pool.backend, VolumeID.random())
      let volume = try await backend.ensured(id, pool.group.request(.mebibytes(128)))
      try await backend.activate(id, pool: "lvm")
      var watch = FillWatch()
      for step in 0..<12 {
        try await sh("dd if=/dev/urandom of=\(volume.path) bs=1M seek=\(step * 8) count=8 oflag=direct")
        try await Task.sleep(for: .seconds(2))
        await backend.keep(&watch)
        let report = try await pool.report()
        #expect(report.downReason == nil)
        #expect(report.dataPercent.map { $0 < 90 } == true)
      }
      try await pool.expectService()
    }
  }

  @Test func metadataThatFillsIsExtendedBeforeItIsFull() async throws {
    try await ThinPoolOfATest.with(size: .mebibytes(256), metadata: .mebibytes(2)) { pool in
      try await fillMetadata(to: 84)
      let before = try await pool.report()
      #expect(before.metadataPercent.map { $0 > 80 && $0 < 86 } == true)
      var watch = FillWatch()
      await pool.backend.keep(&watch)
      let after = try await pool.report()
      #expect(after.metadataPercent.map { $0 < 70 } == true)
      #expect(after.total == before.total)
      try await pool.expectService()
    }
  }

  @Test func aPoolOutOfMetadataIsReportedAndServesAgainOnceItIsExtended() async throws {
    try await ThinPoolOfATest.with(size: .mebibytes(256), metadata: .mebibytes(2)) {
      $0.autoExtend = false
    } _: { pool in
      let (backend, id) = (pool.backend, VolumeID.random())
      let volume = try await backend.ensured(id, pool.group.request(.mebibytes(512)))
      try await backend.activate(id, pool: "lvm")
      try await fillMetadata(to: 88)
      _ = try await pool.report()
      try await pool.expectRefusal(.noSpace, "max_metadata_percent", of: id)

      // New chunks of the guest take the rest, and then fail. A tenth counts as used from the beginning: the kernel needs it
      // for deletions.
      try await fillMetadata(to: 98)
      let written = try? await sh("dd if=/dev/urandom of=\(volume.path) bs=1M count=240 oflag=direct")
      #expect(written == nil)
      try await pool.waitUntilDown("metadata")
      try await pool.expectRefusal(.unavailable, "metadata", of: id)

      let agent = try await LVMBackend.open(pool.group.configuration(.thin), logger: .silent)
      var watch = FillWatch()
      await agent.keep(&watch)
      try await Task.sleep(for: .seconds(2))
      try await pool.expectService()
    }
  }

  /// Makes empty thin devices in the pool, each of which takes a block of its metadata: as a host does with thousands of
  /// snapshots. LVM knows nothing of them.
  private func fillMetadata(to percent: Int) async throws {
    try await sh(
      """
      used() { dmsetup status vgt-vgt--pool-tpool | cut -d ' ' -f 5; }
      used=$(used); total=${used#*/}; used=${used%/*}
      perl -e '
        open my $control, "+<", "/dev/mapper/control" or die "control: $!\\n";
        for my $number ($ARGV[0] .. $ARGV[0] + $ARGV[1]) {
          # struct dm_ioctl and dm_target_msg of linux/dm-ioctl.h; DM_TARGET_MSG
          my $message = pack "Q Z*", 0, "create_thin $number";
          my $call = pack "L9 x4 Q a128 a129 x7 a*",
            4, 0, 0, 312 + length $message, 312, 0, 0, 0, 0, 0, "vgt-vgt--pool-tpool", "", $message;
          ioctl $control, 0xC138FD0E, $call or die "create_thin $number: $!\\n";
        }' $((1000000 + used)) $((total * \(percent) / 100 - used))
      """)
  }
}
