import Foundation
import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// The main job with a storage node that is another machine.
  @Suite(.timeLimit(.minutes(10))) struct StorageNodes {
    /// LVM extends a thick volume that is in use only while it has no snapshots.
    @Test(arguments: [(LabStorage.thinLVMOverLIO, true), (.thickLVMOverLIO, false)])
    func whateverIsDoneToAVolumeTheBytesOfTheRunningGuestAreWhereTheyBelong(
      _ storage: LabStorage, extendsWithSnapshots: Bool
    ) async throws {
      try await Bed.with { bed in
        let fleet = try await LabFleet(storage: storage, in: bed)
        try await fleet.start()
        try await fleet.telling { try await wholeLife(extendsWithSnapshots, in: fleet) }
      }
    }

    private func wholeLife(_ extendsWithSnapshots: Bool, in fleet: LabFleet) async throws {
      let (api, guest) = (fleet.api, fleet.guest)
      let volume = try await api.createVolume(name: "first", gibibytes: 1)
      try await api.waitForVolume(volume, status: "available")
      var disk = try await attach(volume, gibibytes: 1, fleet)
      let written = try await guest.writeRandom(.mebibytes(16), to: disk)

      let snapshot = try await guest.whileWriting(to: disk) {
        let snapshot = try await api.takeSnapshot(name: "before", of: volume)
        try await api.waitForSnapshot(snapshot, status: "available")
        return snapshot
      }
      #expect(try await guest.writeRandom(.mebibytes(16), to: disk) != written)
      try await detach(volume, fleet)
      try await api.revert(volume, to: snapshot)
      try await api.waitForVolume(volume, status: "available", within: .seconds(120))
      disk = try await attach(volume, gibibytes: 1, fleet)
      #expect(try await guest.sha256(of: disk, count: .mebibytes(16)) == written)

      let copy = try await api.createVolume(name: "copy", from: snapshot, gibibytes: 2)
      try await api.waitForVolume(copy, status: "available", within: .seconds(120))
      let diskOfCopy = try await attach(copy, gibibytes: 2, fleet)
      #expect(try await guest.sha256(of: diskOfCopy, count: .mebibytes(16)) == written)

      if !extendsWithSnapshots { try await delete(snapshot, api) }
      try await guest.whileWriting(to: disk) {
        try await api.extend(volume, toGibibytes: 2)
        try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        _ = try await guest.waitForDisk(of: volume, size: .gibibytes(2))
      }
      try await fleet.storage.crash()
      for disk in [disk, diskOfCopy] {
        #expect(try await guest.sha256(of: disk, count: .mebibytes(16)) == written)
      }

      for volume in [volume, copy] { try await detach(volume, fleet) }
      if extendsWithSnapshots { try await delete(snapshot, api) }
      for volume in [volume, copy] { try await api.deleteVolume(volume) }
      for volume in [volume, copy] { try await api.waitUntilGone(volume) }
      try await fleet.waitUntilNothingIsLeft()
    }

    private func delete(_ snapshot: SnapshotID, _ api: API) async throws {
      try await api.deleteSnapshot(snapshot)
      try await api.waitUntilGone(snapshot)
    }

    private func attach(_ volume: VolumeID, gibibytes: Int, _ fleet: LabFleet) async throws -> Guest.Disk {
      try await fleet.api.attach(volume, to: fleet.guest.id)
      try await fleet.api.waitForVolume(volume, status: "in-use")
      return try await fleet.guest.waitForDisk(of: volume, size: .gibibytes(gibibytes))
    }

    private func detach(_ volume: VolumeID, _ fleet: LabFleet) async throws {
      try await fleet.api.detach(volume, from: fleet.guest.id)
      try await fleet.api.waitForVolume(volume, status: "available")
      #expect(try await fleet.guest.disk(of: volume) == nil)
    }
  }
}
