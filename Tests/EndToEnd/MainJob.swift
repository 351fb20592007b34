import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// The main job, nothing going wrong.
  @Suite(.timeLimit(.minutes(10))) struct MainJob {
    let fleet: LoopbackFleet

    init() throws { fleet = try OneFleet.current() }

    @Test func aVolumeAskedForOverHTTPAppearsInsideARunningGuest() async throws {
      let (api, guest) = (fleet.api, fleet.guest)
      try await fleet.telling {
        let volume = try await api.createVolume(name: "first", gibibytes: 1)
        try await api.waitForVolume(volume, status: "available")
        let file = try fleet.backingFile(of: volume)
        #expect(try await fleet.bed.run(["stat", "-c", "%s", file]) == "\(1 << 30)\n")

        try await api.attach(volume, to: guest.id)
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        #expect(disk.serial == String("\(volume)".prefix(20)))
        try await api.waitForVolume(volume, status: "in-use")
        #expect(try await guest.xml().contains("<serial>\(volume)</serial>"))
        #expect(try await guest.xml(stored: true).contains("<serial>\(volume)</serial>"))

        let written = try await guest.writeRandom(.mebibytes(16), to: disk)
        #expect(try await fleet.sha256(ofBackingFileOf: volume, count: .mebibytes(16)) == written)

        try await api.extend(volume, toGibibytes: 2)
        _ = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
        try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        let beyond = try await guest.writeRandom(.mebibytes(4), to: disk, at: .mebibytes(1500))
        #expect(try await guest.sha256(of: disk, count: .mebibytes(4), at: .mebibytes(1500)) == beyond)
        #expect(try await guest.sha256(of: disk, count: .mebibytes(16)) == written)

        try await api.detach(volume, from: guest.id)
        try await api.waitForVolume(volume, status: "available")
        #expect(try await guest.disk(of: volume) == nil)
        #expect(try await !guest.xml().contains("\(volume)"))
        #expect(try await !guest.xml(stored: true).contains("\(volume)"))

        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        try await fleet.expectNothingLeft()
      }
    }

    @Test func sevenVolumesAreAttachedAtOnceAndKeepTheirBytesApart() async throws {
      let (api, guest) = (fleet.api, fleet.guest)
      try await fleet.telling {
        var volumes: [VolumeID] = []
        for number in 1...7 { volumes.append(try await api.createVolume(name: "seven-\(number)", gibibytes: 1)) }
        for volume in volumes { try await api.waitForVolume(volume, status: "available") }
        for volume in volumes { try await api.attach(volume, to: guest.id) }
        var written: [VolumeID: String] = [:]
        for volume in volumes {
          let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
          written[volume] = try await guest.writeRandom(.mebibytes(1), to: disk)
        }
        for volume in volumes {
          #expect(try await fleet.sha256(ofBackingFileOf: volume, count: .mebibytes(1)) == written[volume])
          try await api.waitForVolume(volume, status: "in-use")
          try await api.detach(volume, from: guest.id)
        }
        for volume in volumes {
          try await api.waitForVolume(volume, status: "available")
          try await api.deleteVolume(volume)
        }
        for volume in volumes { try await api.waitUntilGone(volume) }
        try await fleet.expectNothingLeft()
      }
    }

    @Test func aGuestThatWasSwitchedOffFindsItsVolumeAgain() async throws {
      let (api, guest) = (fleet.api, fleet.guest)
      try await fleet.telling {
        let volume = try await api.createVolume(name: "stays", gibibytes: 1)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: guest.id)
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        try await api.waitForVolume(volume, status: "in-use")
        let written = try await guest.writeRandom(.mebibytes(4), to: disk)

        try await guest.powerOff()
        try await guest.boot()

        let again = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        #expect(try await guest.sha256(of: again, count: .mebibytes(4)) == written)
        try await api.waitForInstance(guest.id)
        try await api.detach(volume, from: guest.id)
        try await api.waitForVolume(volume, status: "available")
        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        try await fleet.expectNothingLeft()
      }
    }
  }
}
