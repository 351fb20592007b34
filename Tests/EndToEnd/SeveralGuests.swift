import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// One volume in two guests, each of them writing.
  @Suite(.timeLimit(.minutes(10))) struct SeveralGuests {
    @Test func eachGuestSeesWhatTheOtherOneHasWritten() async throws {
      try await Bed.with { bed in
        let share = try await ShareFleet(in: bed)
        let fleet = share.fleet
        let (api, first) = (fleet.api, fleet.guest)
        try await fleet.telling {
          try await share.server.start()
          try await fleet.startDaemons()
          let second = Guest("second", image: try await GuestImage.prepare(in: bed), libvirt: fleet.libvirt, in: bed)
          async let one: Void = first.start()
          async let two: Void = second.start()
          _ = try await (one, two)
          for guest in [first, second] { try await api.waitForInstance(guest.id) }

          try await api.createSharedType("shared")
          let volume = try await api.createVolume(name: "cluster", gibibytes: 1, type: "shared")
          try await api.waitForVolume(volume, status: "available")
          var disks: [Guest.Disk] = []
          for guest in [first, second] {
            try await api.attach(volume, to: guest.id)
            disks.append(try await guest.waitForDisk(of: volume, size: .gibibytes(1)))
            try await api.waitForVolume(volume, status: "in-use")
            #expect(try await guest.xml().contains("<shareable/>"))
          }
          #expect(try await api.volume(volume)["attachments"].array.count == 2)

          let left = try await first.writeRandom(.mebibytes(4), to: disks[0])
          #expect(try await second.sha256(of: disks[1], count: .mebibytes(4)) == left)
          let right = try await second.writeRandom(.mebibytes(4), to: disks[1], at: .mebibytes(64))
          #expect(try await first.sha256(of: disks[0], count: .mebibytes(4), at: .mebibytes(64)) == right)

          // It grows in both.
          try await api.extend(volume, toGibibytes: 2)
          for guest in [first, second] { _ = try await guest.waitForDisk(of: volume, size: .gibibytes(2)) }
          try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
          let far = try await first.writeRandom(.mebibytes(4), to: disks[0], at: .mebibytes(1500))
          #expect(try await second.sha256(of: disks[1], count: .mebibytes(4), at: .mebibytes(1500)) == far)

          // A volume of another type is for one of them.
          let plain = try await api.createVolume(name: "plain", gibibytes: 1)
          try await api.waitForVolume(plain, status: "available")
          try await api.attach(plain, to: first.id)
          try await api.waitForVolume(plain, status: "in-use")
          await #expect(throws: API.Refusal.self) { try await api.attach(plain, to: second.id) }

          // The layers of a snapshot are for one writer: it is refused, and the disks stay as they are.
          let snapshot = try await api.takeSnapshot(name: "none", of: volume)
          try await eventually("the snapshot is refused", within: .seconds(60)) {
            try await api.snapshot(snapshot)["status"].string == "error"
          }
          #expect(try await first.sha256(of: disks[0], count: .mebibytes(4), at: .mebibytes(64)) == right)
          try await api.deleteSnapshot(snapshot)
          try await api.waitUntilGone(snapshot)

          try await api.detach(volume, from: first.id)
          try await first.waitUntilUnplugged(volume)
          try await api.waitForVolume(volume, status: "in-use")
          let last = try await second.writeRandom(.mebibytes(4), to: disks[1])
          #expect(try await second.sha256(of: disks[1], count: .mebibytes(4)) == last)
          try await api.detach(volume, from: second.id)
          try await api.detach(plain, from: first.id)
          for volume in [volume, plain] {
            try await api.waitForVolume(volume, status: "available")
            try await api.deleteVolume(volume)
            try await api.waitUntilGone(volume)
          }
          try await second.stop()
          try await share.expectNothingLeft()
        }
      }
    }
  }
}
