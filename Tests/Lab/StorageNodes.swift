import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// The main job with a storage node that is another machine.
  @Suite(.timeLimit(.minutes(10))) struct StorageNodes {
    @Test(arguments: [LabStorage.filesOverTGT, .thinLVMOverLIO, .thickLVMOverLIO])
    func aVolumeOfAStorageNodeSurvivesItsPowerCutInARunningGuest(_ storage: LabStorage) async throws {
      try await Bed.with { bed in
        let fleet = try await LabFleet(storage: storage, in: bed)
        try await fleet.start()
        let (api, guest) = (fleet.api, fleet.guest)
        try await fleet.telling {
          let volume = try await api.createVolume(name: "first", gibibytes: 1)
          try await api.waitForVolume(volume, status: "available")
          try await api.attach(volume, to: guest.id)
          try await api.waitForVolume(volume, status: "in-use")
          let disk = try await guest.waitForDisk(of: volume, size: .gibibytes(1))
          let written = try await guest.writeRandom(.mebibytes(16), to: disk)

          try await fleet.crashStorage()

          #expect(try await guest.sha256(of: disk, count: .mebibytes(16)) == written)
          let later = try await guest.writeRandom(.mebibytes(4), to: disk, at: .mebibytes(512))
          #expect(try await guest.sha256(of: disk, count: .mebibytes(4), at: .mebibytes(512)) == later)
          try await api.detach(volume, from: guest.id)
          try await api.waitForVolume(volume, status: "available")
          #expect(try await guest.disk(of: volume) == nil)
          try await api.deleteVolume(volume)
          try await api.waitUntilGone(volume)
          #expect(try await fleet.leftovers() == "")
        }
      }
    }
  }
}
