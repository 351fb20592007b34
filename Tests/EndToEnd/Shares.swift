import Foundation
import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// Volumes on an NFS share, which a guest's QEMU opens by itself.
  @Suite(.timeLimit(.minutes(10))) struct Shares {
    @Test func aVolumeOnAShareLivesItsWholeLife() async throws {
      try await Bed.with { bed in
        let share = try bed.folder.folder("export")
        let server = try GaneshaDaemon(in: bed, exports: [.init(path: share)])
        try await server.start()
        let fleet = try await LoopbackFleet(
          in: bed,
          backends: """
            - name: filer
              kind: nfs
              access: libnfs
              shares: ["\(server.address):\(share)"]
            """)
        let (api, guest) = (fleet.api, fleet.guest)
        try await fleet.telling {
          try await fleet.start()

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
          #expect(try images(in: share).count == 2)
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
          try await eventually("the layers are merged", within: .seconds(60)) { try images(in: share).count == 2 }
          #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == second)
          #expect(try await guest.sha256(of: disk, count: .mebibytes(8), at: .mebibytes(64)) == third)
          #expect(try await guest.sha256(of: disk, count: .mebibytes(4), at: .mebibytes(1500)) == beyond)

          // A copy of the snapshot, which has what was written before it and nothing else.
          let copy = try await api.createVolume(name: "copy", from: middle, gibibytes: 1)
          try await api.waitForVolume(copy, status: "available")
          #expect(try await sha256(of: copy, in: share, bed) == second)

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
            try images(in: share).count == 2
          }
          for volume in [volume, copy] {
            try await api.deleteVolume(volume)
            try await api.waitUntilGone(volume)
          }
          try await eventually("nothing is left", within: .seconds(60)) {
            try FileManager.default.contentsOfDirectory(atPath: share) == [".pumice-owner"]
          }
          try await fleet.expectNothingLeft()
        }
      }
    }

    /// The files that hold bytes of volumes.
    private func images(in share: String) throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: share).filter { !$0.hasSuffix(".json") && !$0.hasPrefix(".") }
    }

    /// Of the first 8 MiB of a volume that is one plain file.
    private func sha256(of volume: VolumeID, in share: String, _ bed: Bed) async throws -> String {
      String(try await bed.run(["sh", "-c", "head -c \(8 << 20) '\(share)/volume-\(volume)' | sha256sum"]).prefix(64))
    }
  }
}
