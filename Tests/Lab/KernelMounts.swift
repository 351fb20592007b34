import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// Volumes on a share that the host's kernel mounts, in files that its QEMU opens by their paths.
  @Suite(.timeLimit(.minutes(10))) struct KernelMounts {
    @Test func whateverIsDoneToAVolumeTheBytesOfTheRunningGuestAreWhereTheyBelong() async throws {
      try await FilerFleet.with { fleet in
        let (api, guest) = (fleet.api, fleet.guest)
        let volume = try await api.createVolume(name: "first", gibibytes: 1)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: guest.id)
        try await api.waitForVolume(volume, status: "in-use")
        let disk = try await guest.waitForDisk(of: volume, size: .gibibytes(1))
        #expect(try await guest.xml().contains("<source file='\(fleet.mountPoint())/volume-\(volume)'"))
        _ = try await guest.writeRandom(.mebibytes(8), to: disk)

        // It gets layers, grows and loses a layer while it is written to.
        let first = try await guest.whileWriting(to: disk) { try await fleet.takeSnapshot("first", of: volume) }
        #expect(try await fleet.images().count == 2)
        let hidden = try await guest.writeRandom(.mebibytes(8), to: disk)
        let early = try await guest.writeRandom(.mebibytes(8), to: disk, at: .mebibytes(64))
        try await guest.whileWriting(to: disk) {
          try await api.extend(volume, toGibibytes: 2)
          try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        }
        _ = try await guest.waitForDisk(of: volume, size: .gibibytes(2))
        let beyond = try await guest.writeRandom(.mebibytes(4), to: disk, at: .mebibytes(1500))
        let second = try await guest.whileWriting(to: disk) { try await fleet.takeSnapshot("second", of: volume) }
        let late = try await guest.writeRandom(.mebibytes(8), to: disk)
        #expect(try await fleet.images().count == 3)
        try await guest.whileWriting(to: disk) {
          try await api.deleteSnapshot(first)
          try await api.waitUntilGone(first)
          try await fleet.waitForImages(2)
        }
        func expectContent(_ disk: Guest.Disk) async throws {
          #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == late)
          #expect(try await guest.sha256(of: disk, count: .mebibytes(8), at: .mebibytes(64)) == early)
          #expect(try await guest.sha256(of: disk, count: .mebibytes(4), at: .mebibytes(1500)) == beyond)
        }
        try await expectContent(disk)

        // The filer's power goes, and the guest waits for it.
        async let waiting = guest.writeRandom(.mebibytes(16), to: disk, at: .mebibytes(128))
        try await fleet.filer.powerCut()
        try await fleet.startFiler()
        let waited = try await waiting
        #expect(try await guest.sha256(of: disk, count: .mebibytes(16), at: .mebibytes(128)) == waited)

        try await api.detach(volume, from: guest.id)
        try await api.waitForVolume(volume, status: "available")
        #expect(try await guest.disk(of: volume) == nil)
        try await fleet.expectSoundImages()
        try await api.revert(volume, to: second)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: guest.id)
        let reverted = try await guest.waitForDisk(of: volume, size: .gibibytes(2))
        #expect(try await guest.sha256(of: reverted, count: .mebibytes(8)) == hidden)
        #expect(try await guest.sha256(of: reverted, count: .mebibytes(8), at: .mebibytes(64)) == early)
        try await api.waitForVolume(volume, status: "in-use")
        try await api.detach(volume, from: guest.id)
        try await api.waitForVolume(volume, status: "available")

        try await api.deleteSnapshot(second)
        try await api.waitUntilGone(second)
        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        try await fleet.expectNothingLeft()
      }
    }
  }
}
