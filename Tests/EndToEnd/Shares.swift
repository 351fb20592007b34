import Foundation
import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// Volumes on an NFS share, which a guest's QEMU opens by itself.
  @Suite(.timeLimit(.minutes(10))) struct Shares {
    @Test func aVolumeOnAShareLivesItsWholeLife() async throws {
      try await Bed.with { bed in
        let share = try await ShareFleet(in: bed)
        let fleet = share.fleet
        let (api, guest) = (fleet.api, fleet.guest)
        try await fleet.telling {
          try await share.start()

          let volume = try await api.createVolume(name: "on-a-share", gibibytes: 1)
          try await api.waitForVolume(volume, status: "available")
          try await api.attach(volume, to: guest.id)
          let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
          try await api.waitForVolume(volume, status: "in-use")
          #expect(try await guest.xml().contains("protocol='nfs'"))
          _ = try await guest.writeRandom(.mebibytes(8), to: disk)

          // Snapshots of a disk that is written to.
          let before = try await api.takeSnapshot(name: "before", of: volume)
          try await api.waitForSnapshot(before, status: "available")
          #expect(try share.images().count == 2)
          let second = try await guest.writeRandom(.mebibytes(8), to: disk)
          let middle = try await api.takeSnapshot(name: "middle", of: volume)
          try await api.waitForSnapshot(middle, status: "available")
          let third = try await guest.writeRandom(.mebibytes(8), to: disk, at: .mebibytes(64))
          #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == second)

          // It grows while it is attached, in a layer that QEMU has open.
          try await api.extend(volume, toGibibytes: 2)
          _ = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
          try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
          let beyond = try await guest.writeRandom(.mebibytes(4), to: disk, at: .mebibytes(1500))

          // The older one goes: what it kept apart is merged under the guest.
          try await api.deleteSnapshot(before)
          try await api.waitUntilGone(before)
          try await eventually("the layers are merged", within: .seconds(60)) { try share.images().count == 2 }
          #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == second)
          #expect(try await guest.sha256(of: disk, count: .mebibytes(8), at: .mebibytes(64)) == third)
          #expect(try await guest.sha256(of: disk, count: .mebibytes(4), at: .mebibytes(1500)) == beyond)

          // A copy of the snapshot, which has what was written before it and nothing else.
          let copy = try await api.createVolume(name: "copy", from: middle, gibibytes: 1)
          try await api.waitForVolume(copy, status: "available")
          #expect(try await share.sha256(of: copy, count: .mebibytes(8)) == second)

          try await guest.powerOff()
          try await guest.boot()
          let again = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
          #expect(try await guest.sha256(of: again, count: .mebibytes(8)) == second)
          #expect(try await guest.sha256(of: again, count: .mebibytes(8), at: .mebibytes(64)) == third)

          try await api.waitForInstance(guest.id)
          try await api.detach(volume, from: guest.id)
          try await api.waitForVolume(volume, status: "available")
          #expect(try await !guest.xml(stored: true).contains("<disk"))
          // Back to a moment when nobody had it.
          let idle = try await api.takeSnapshot(name: "idle", of: volume)
          try await api.waitForSnapshot(idle, status: "available")
          try await api.attach(volume, to: guest.id)
          let later = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
          #expect(try await guest.writeRandom(.mebibytes(8), to: later) != second)
          try await api.waitForVolume(volume, status: "in-use")
          try await api.detach(volume, from: guest.id)
          try await api.waitForVolume(volume, status: "available")
          try await api.revert(volume, to: idle)
          try await api.waitForVolume(volume, status: "available")
          try await api.attach(volume, to: guest.id)
          let reverted = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
          #expect(try await guest.sha256(of: reverted, count: .mebibytes(8)) == second)
          #expect(try await guest.sha256(of: reverted, count: .mebibytes(8), at: .mebibytes(64)) == third)
          try await api.waitForVolume(volume, status: "in-use")
          try await api.detach(volume, from: guest.id)
          try await api.waitForVolume(volume, status: "available")

          for snapshot in [idle, middle] {
            try await api.deleteSnapshot(snapshot)
            try await api.waitUntilGone(snapshot)
          }
          try await eventually("each has one plain file again", within: .seconds(60)) {
            try share.images().count == 2
          }
          for volume in [volume, copy] {
            try await api.deleteVolume(volume)
            try await api.waitUntilGone(volume)
          }
          try await share.expectNothingLeft()
        }
      }
    }

    @Test func aVolumeIsCopiedWhileAGuestWritesToIt() async throws {
      try await Bed.with { bed in
        let share = try await ShareFleet(in: bed)
        let fleet = share.fleet
        let (api, guest) = (fleet.api, fleet.guest)
        try await fleet.telling {
          try await share.start()
          let volume = try await api.createVolume(name: "busy", gibibytes: 1)
          try await api.waitForVolume(volume, status: "available")
          try await api.attach(volume, to: guest.id)
          let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
          try await api.waitForVolume(volume, status: "in-use")
          let random = try await guest.writeRandom(.mebibytes(16), to: disk, at: .mebibytes(256))
          try await guest.beginNumbering(disk)

          var copies: [VolumeID] = []
          for number in 1...3 {
            let before = try await guest.lastNumber(on: disk)
            let copy = try await api.createVolume(name: "copy-\(number)", from: volume, gibibytes: 2)
            try await api.waitForVolume(copy, status: "available")
            let after = try await guest.lastNumber(on: disk)
            let shown = try await numbers(of: copy, in: share)
            #expect(before <= shown && shown <= after && before < after, "\(before) \(shown) \(after)")
            #expect(try share.images(of: volume).count == 2, "Copies don't make the chain longer.")
            #expect(try share.images(of: copy).count == 1)
            copies.append(copy)
          }
          // Two at once.
          let twins = [
            try await api.createVolume(name: "twin-1", from: volume, gibibytes: 1),
            try await api.createVolume(name: "twin-2", from: volume, gibibytes: 1),
          ]
          for copy in twins {
            try await api.waitForVolume(copy, status: "available")
            #expect(try await numbers(of: copy, in: share) > 0)
          }
          copies += twins
          let last = try await guest.endNumbering(disk)
          #expect(try await guest.sha256(of: disk, count: .mebibytes(16), at: .mebibytes(256)) == random)
          #expect(try share.images(of: volume).count == 2)

          try await api.detach(volume, from: guest.id)
          try await api.waitForVolume(volume, status: "available")
          let whole = try await api.createVolume(name: "all", from: volume, gibibytes: 1)
          try await api.waitForVolume(whole, status: "available")
          #expect(try await numbers(of: whole, in: share) == last)
          try await bed.run([
            "sh", "-c",
            """
            set -e; cd '\(share.folder)'
            for image in volume-*; do
              if [ "$(head -c 3 "$image")" = QFI ]; then qemu-img check -q -f qcow2 "$image"; fi
            done
            """,
          ])
          for id in copies + [whole, volume] {
            try await api.deleteVolume(id)
            try await api.waitUntilGone(id)
          }
          try await share.expectNothingLeft()
        }
      }
    }

    /// All that can be done to a volume is done while its instance is shut off, which is then started by somebody else.
    @Test func anInstanceThatWasShutOffStartsWithTheRightFilesAndSize() async throws {
      try await Bed.with { bed in
        let share = try await ShareFleet(in: bed)
        let fleet = share.fleet
        let (api, guest) = (fleet.api, fleet.guest)
        try await fleet.telling {
          try await share.start()
          let volume = try await api.createVolume(name: "sleeper", gibibytes: 1)
          try await api.waitForVolume(volume, status: "available")
          try await api.attach(volume, to: guest.id)
          let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
          try await api.waitForVolume(volume, status: "in-use")
          let first = try await guest.writeRandom(.mebibytes(8), to: disk)
          let early = try await api.takeSnapshot(name: "early", of: volume)
          try await api.waitForSnapshot(early, status: "available")
          let second = try await guest.writeRandom(.mebibytes(8), to: disk, at: .mebibytes(64))

          try await guest.powerOff()
          let late = try await api.takeSnapshot(name: "late", of: volume)
          try await api.waitForSnapshot(late, status: "available")
          let copy = try await api.createVolume(name: "copy", from: volume, gibibytes: 1)
          try await api.waitForVolume(copy, status: "available")
          try await api.extend(volume, toGibibytes: 2)
          try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
          // A merge has to wait until the instance runs; the snapshot goes all the same.
          try await api.deleteSnapshot(early)
          try await api.waitUntilGone(early)
          let files = try share.images(of: volume).count
          #expect(files == 4, "base, first, late, copy")

          try await guest.boot()
          let again = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
          #expect(try await guest.sha256(of: again, count: .mebibytes(8)) == first)
          #expect(try await guest.sha256(of: again, count: .mebibytes(8), at: .mebibytes(64)) == second)
          let third = try await guest.writeRandom(.mebibytes(8), to: again, at: .mebibytes(1200))
          let file = try #require(try share.images(of: copy).first)
          #expect(
            try await bed.run(["sh", "-c", "head -c \(8 << 20) '\(share.folder)/\(file)' | sha256sum"]).hasPrefix(first)
          )

          // The agent finds its way without being told which files they are by now.
          try await fleet.agent.daemon.crash()
          let log = try String(contentsOfFile: fleet.agent.daemon.log, encoding: .utf8)
          #expect(!log.contains("attachment is not restored yet"))
          try await api.waitForInstance(guest.id)
          try await api.deleteSnapshot(late)
          try await api.waitUntilGone(late)
          try await eventually("the layers are merged", within: .seconds(60)) {
            try share.images(of: volume).count == 2
          }
          #expect(try await guest.sha256(of: again, count: .mebibytes(8)) == first)
          #expect(try await guest.sha256(of: again, count: .mebibytes(8), at: .mebibytes(1200)) == third)

          try await api.detach(volume, from: guest.id)
          try await api.waitForVolume(volume, status: "available")
          for id in [copy, volume] {
            try await api.deleteVolume(id)
            try await api.waitUntilGone(id)
          }
          try await share.expectNothingLeft()
        }
      }
    }

    /// Up to which number the guest had come at the moment that a volume of one plain file shows. Each is written at the front and
    /// then at the back, durably, before the next: fewer at the front, or one more that is missing before others, is no moment.
    private func numbers(of volume: VolumeID, in share: ShareFleet) async throws -> Int {
      let file = try #require(try share.images(of: volume).first)
      var counts: [Int] = []
      for start in [Numbering.front, Numbering.back] {
        let text = try await share.fleet.bed.run([
          "sh", "-c",
          "dd if='\(share.folder)/\(file)' bs=1M skip=\(start) count=64 2>/dev/null | tr -d ' \\000' | tr -s '\\n'",
        ])
        let numbers = text.split(separator: "\n").compactMap { Int($0) }
        #expect(numbers == Array(1...max(1, numbers.count)), "There are no gaps.")
        counts.append(numbers.count)
      }
      #expect(counts[0] == counts[1] || counts[0] == counts[1] + 1, "\(counts)")
      return counts[1]
    }
  }
}

/// Where a guest writes its numbers, in MiB.
private enum Numbering {
  static let (front, back) = (0, 768)
}

extension Guest {
  /// Lets it write one number after the other, each of a block of its own.
  fileprivate func beginNumbering(_ disk: Disk) async throws {
    try await run(
      """
      cat >/tmp/number-\(disk.name) <<'END'
      n=0
      while [ ! -e /tmp/stop-\(disk.name) ]; do
        n=$((n + 1))
        for start in \(Numbering.front) \(Numbering.back); do
          printf '%-4095s\\n' $n | dd of=/dev/\(disk.name) bs=4k seek=$((start * 256 + n)) conv=fsync,notrunc 2>/dev/null || exit 1
        done
        echo $n >/tmp/last-\(disk.name)
      done
      touch /tmp/stopped-\(disk.name)
      END
      sh /tmp/number-\(disk.name) </dev/null >/dev/null 2>&1 &
      """)
    try await eventually("the guest writes", within: .seconds(30)) { try await lastNumber(on: disk) > 0 }
  }

  fileprivate func lastNumber(on disk: Disk) async throws -> Int {
    let text = try await run("cat /tmp/last-\(disk.name) 2>/dev/null || echo 0")
    return Int(text.filter(\.isNumber)) ?? 0
  }

  fileprivate func endNumbering(_ disk: Disk) async throws -> Int {
    try await run("touch /tmp/stop-\(disk.name)")
    try await eventually("the guest has stopped writing", within: .seconds(30)) {
      try await run("ls /tmp").contains("stopped-\(disk.name)")
    }
    return try await lastNumber(on: disk)
  }
}
