import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// Snapshots on a share of a guest that holds still for them.
  @Suite(.oneShareFleet, .timeLimit(.minutes(5))) struct ShareQuiescence {
    @Test func aSnapshotOfAGuestThatHoldsStillHasAWholeFileSystem() async throws {
      let share = try OneShareFleet.current()
      let (fleet, api, guest) = (share.fleet, share.fleet.api, share.fleet.guest)
      try await fleet.telling {
        try await guest.startAgent()
        let volume = try await api.createVolume(name: "quiet", gibibytes: 1)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: guest.id)
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        try await api.waitForVolume(volume, status: "in-use")
        try await guest.mount(disk, at: "/data")
        // Written, and not synced: only a freeze brings it to the disk.
        try await guest.run("dd if=/dev/urandom of=/data/file bs=1M count=8 2>/dev/null")
        let written = try await guest.run("sha256sum </data/file").prefix(64)

        // libvirt sees the agent some moments after it has begun.
        var snapshot: SnapshotID?
        try await eventually("the guest has held still", within: .seconds(60), every: .seconds(1)) {
          if let last = snapshot {
            try await api.deleteSnapshot(last)
            try await api.waitUntilGone(last)
          }
          let taken = try await api.takeSnapshot(name: "quiet", of: volume)
          snapshot = taken
          try await api.waitForSnapshot(taken, status: "available")
          return try await api.snapshot(taken)["pumice:consistency"].string == "quiesced"
        }
        #expect(try await !guest.isFrozen("/data"), "It goes on.")

        let taken = try #require(snapshot)
        let copy = try await api.createVolume(name: "copy", from: taken, gibibytes: 1)
        try await api.waitForVolume(copy, status: "available")
        let image = "\(share.folder)/volume-\(copy)"
        try await fleet.bed.run(["/usr/sbin/e2fsck", "-f", "-n", image])
        let kept = try await fleet.bed.run([
          "sh", "-c", "/usr/sbin/debugfs -R 'cat /file' \"$1\" 2>/dev/null | sha256sum", "sha256", image,
        ])
        #expect(kept.prefix(64) == written)

        try await guest.run("umount /data")
        try await api.detach(volume, from: guest.id)
        try await api.waitForVolume(volume, status: "available")
        try await api.deleteSnapshot(taken)
        try await api.waitUntilGone(taken)
        for volume in [volume, copy] {
          try await api.deleteVolume(volume)
          try await api.waitUntilGone(volume)
        }
        try await share.expectNothingLeft()
      }
    }
  }
}
