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
        try await Self.startAgent(of: guest)
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

    /// Two file systems on two volumes: what was written to one before the other is there at the moment that is kept.
    @Test func aGroupOfAGuestThatHoldsStillIsKeptAtOneMoment() async throws {
      let share = try OneShareFleet.current()
      let (fleet, api, guest) = (share.fleet, share.fleet.api, share.fleet.guest)
      try await fleet.telling {
        try await Self.startAgent(of: guest)
        let root = "/v3/\(api.project)"
        try await api.post(
          "\(root)/group_types",
          ["group_type": ["name": "pair", "group_specs": ["consistent_group_snapshot_enabled": "<is> True"]]])
        let made = try await api.post(
          "\(root)/groups", ["group": ["group_type": "pair", "volume_types": ["__DEFAULT__"]]])
        let group = try #require(made["group"]["id"].string)
        var volumes: [VolumeID] = []
        for name in ["first", "second"] {
          let volume = try await api.createVolume(name: name, gibibytes: 1)
          volumes.append(volume)
          try await api.waitForVolume(volume, status: "available")
          try await api.attach(volume, to: guest.id)
          let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
          try await api.waitForVolume(volume, status: "in-use")
          try await guest.mount(disk, at: "/\(name)")
        }
        try await api.put(
          "\(root)/groups/\(group)",
          ["group": ["add_volumes": .string(volumes.map(\.description).joined(separator: ","))]])
        // A counter goes from the first to the second, for as long as snapshots are taken.
        try await guest.run(
          """
          (i=0; while [ ! -e /tmp/enough ]; do
            i=$((i+1)); echo $i >/first/count; sync /first/count; echo $i >/second/count; sync /second/count
          done) >/dev/null 2>&1 &
          """)

        // libvirt sees the agent some moments after it has begun.
        var taken = ""
        try await eventually("the guest has held still", within: .seconds(60), every: .seconds(1)) {
          if !taken.isEmpty { try await api.delete("\(root)/group_snapshots/\(taken)") }
          let answer = try await api.post("\(root)/group_snapshots", ["group_snapshot": ["group_id": .string(group)]])
          taken = try #require(answer["group_snapshot"]["id"].string)
          let status = try await eventually("the group snapshot is taken or not") {
            let status = try await api.get("\(root)/group_snapshots/\(taken)")["group_snapshot"]["status"].string
            return status == "creating" ? nil : status
          }
          return status == "available"
        }
        try await guest.run("touch /tmp/enough")

        let snapshots = try await api.get("\(root)/snapshots/detail")["snapshots"].array.filter {
          $0["group_snapshot_id"].string == taken
        }
        #expect(snapshots.count == 2)
        #expect(snapshots.allSatisfy { $0["pumice:consistency"].string == "quiesced" })
        var counts: [String: Int] = [:]
        for snapshot in snapshots {
          let id = try #require(snapshot["id"].string.flatMap(SnapshotID.init))
          let volume = try #require(snapshot["volume_id"].string.flatMap(VolumeID.init))
          let copy = try await api.createVolume(name: "copy", from: id, gibibytes: 1)
          try await api.waitForVolume(copy, status: "available")
          let image = "\(share.folder)/volume-\(copy)"
          try await fleet.bed.run(["/usr/sbin/e2fsck", "-f", "-n", image])
          let kept = try await fleet.bed.run([
            "sh", "-c", "/usr/sbin/debugfs -R 'cat /count' \"$1\" 2>/dev/null", "cat", image,
          ])
          counts[volume == volumes[0] ? "first" : "second"] = Int(kept.filter(\.isNumber))
          try await api.deleteVolume(copy)
          try await api.waitUntilGone(copy)
        }
        let (first, second) = (try #require(counts["first"]), try #require(counts["second"]))
        #expect(first == second || first == second + 1, "The one is \(first), and the other \(second).")

        try await guest.run("umount /first /second")
        for volume in volumes {
          try await api.detach(volume, from: guest.id)
          try await api.waitForVolume(volume, status: "available")
        }
        try await api.delete("\(root)/group_snapshots/\(taken)")
        for snapshot in snapshots {
          try await api.waitUntilGone(try #require(snapshot["id"].string.flatMap(SnapshotID.init)))
        }
        try await api.post("\(root)/groups/\(group)/action", ["delete": ["delete-volumes": true]])
        for volume in volumes { try await api.waitUntilGone(volume) }
        try await share.expectNothingLeft()
      }
    }

    /// Once in the guest's life.
    private static func startAgent(of guest: Guest) async throws {
      if try await guest.run("pidof qemu-ga || echo none").contains("none") { try await guest.startAgent() }
    }
  }
}
