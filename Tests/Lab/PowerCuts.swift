import Foundation
import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// The storage node loses its power at a random moment of every step of a volume's life. Each time it boots, its
  /// agent starts, and everything ends as it was asked for: the guest's flushed bytes are there and nothing is left over.
  ///
  /// `PUMICE_SEED` repeats the moments of a run. They take minutes, and run in `make lab`, with `PUMICE_LAB=all`.
  @Suite(.enabled(if: LabTests.isWhole), .timeLimit(.minutes(20))) struct PowerCuts {
    @Test(arguments: [(LabStorage.filesOverTGT, 1), (.thinLVMOverLIO, 1), (.thickLVMOverLIO, 1)])
    func everyOperationComesToItsEnd(on storage: LabStorage, inLives lives: Int) async throws {
      let seed =
        ProcessInfo.processInfo.environment["PUMICE_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max)
      try await Bed.with { bed in
        let fleet = try await LabFleet(storage: storage, in: bed)
        try await fleet.start()
        var moments = Moments(seed: seed)
        do {
          for number in 1...lives {
            try await fleet.telling { try await Life(name: "life-\(number)", fleet: fleet).live(moments: &moments) }
          }
        } catch {
          throw TestBedFailure("After \(moments.count) power cuts with PUMICE_SEED=\(seed): \(error)")
        }
        #expect(moments.count == 10 * lives)
      }
    }
  }
}

/// When the power is cut, counted from a request: mostly soon, while it is being worked on.
private struct Moments {
  private(set) var count = 0
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// Sebastiano Vigna's SplitMix64.
  mutating func next() -> Duration {
    count += 1
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    z ^= z >> 31
    let within: UInt64 = [30, 200, 1000, 2500][Int(z % 4)]
    return .milliseconds(Int((z >> 2) % within))
  }
}

/// The life of a volume, of a snapshot of it and of a volume from that, with a power cut in each of its steps.
private struct Life {
  let name: String
  let fleet: LabFleet
  private var api: API { fleet.api }
  private var guest: Guest { fleet.guest }
  private var client: InsistentClient { InsistentClient(api: api) }

  init(name: String, fleet: LabFleet) {
    self.name = name
    self.fleet = fleet
  }

  func live(moments: inout Moments) async throws {
    let volume = try await cutting(moments.next()) { try await client.create(name, gibibytes: 1) }
    try await api.waitForVolume(volume, status: "available", within: .seconds(120))

    try await cutting(moments.next()) { try await client.attach(volume, to: guest.id) }
    let disk = try await guest.waitForDisk(of: volume, size: .gibibytes(1), within: .seconds(120))
    try await api.waitForVolume(volume, status: "in-use", within: .seconds(120))

    let first = try await guest.writeRandom(.mebibytes(8), to: disk)
    _ = moments.next()
    try await fleet.storage.crash()
    #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == first)

    let written = try await cutting(moments.next()) {
      async let written = guest.writeRandom(.mebibytes(16), to: disk, at: .mebibytes(256))
      try await client.extend(volume, toGibibytes: 2)
      return try await written
    }
    _ = try await guest.waitForDisk(of: volume, size: .gibibytes(2), within: .seconds(120))
    try await api.waitForVolume(volume, status: "in-use", gibibytes: 2, within: .seconds(120))
    #expect(try await guest.sha256(of: disk, count: .mebibytes(16), at: .mebibytes(256)) == written)

    try await cutting(moments.next()) { try await client.detach(volume, from: guest.id) }
    try await api.waitForVolume(volume, status: "available", within: .seconds(120))
    #expect(try await guest.disk(of: volume) == nil)

    let snapshot = try await cutting(moments.next()) { try await client.takeSnapshot(name, of: volume) }
    try await api.waitForSnapshot(snapshot, status: "available", within: .seconds(120))
    try await overwrite(volume)

    let copy = try await cutting(moments.next()) {
      try await client.create("\(name)-copy", from: snapshot, gibibytes: 2)
    }
    try await api.waitForVolume(copy, status: "available", within: .seconds(120))
    try await expect(first, in: copy)

    for victim in [copy, volume] {
      if victim == volume {
        try await cutting(moments.next()) { try await client.deleteSnapshot(snapshot) }
        try await api.waitUntilGone(snapshot, within: .seconds(120))
      }
      try await cutting(moments.next()) { try await client.delete(victim) }
      try await api.waitUntilGone(victim, within: .seconds(120))
    }
    try await fleet.waitUntilNothingIsLeft()
  }

  /// Makes the volume's first bytes differ from those in its snapshot.
  private func overwrite(_ volume: VolumeID) async throws {
    try await whileAttached(volume) { disk in _ = try await guest.writeRandom(.mebibytes(8), to: disk) }
  }

  private func expect(_ sum: String, in volume: VolumeID) async throws {
    try await whileAttached(volume) { disk in
      let found = try await guest.sha256(of: disk, count: .mebibytes(8))
      #expect(found == sum)
    }
  }

  private func whileAttached(_ volume: VolumeID, _ work: (Guest.Disk) async throws -> Void) async throws {
    try await client.attach(volume, to: guest.id)
    try await api.waitForVolume(volume, status: "in-use", within: .seconds(120))
    try await work(try await guest.waitForDisk(of: volume, size: .gibibytes(2)))
    try await client.detach(volume, from: guest.id)
    try await api.waitForVolume(volume, status: "available", within: .seconds(120))
  }

  /// Does the work, with the storage node's power cut so long after its beginning.
  private func cutting<Result: Sendable>(
    _ moment: Duration, _ work: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    async let result = work()
    try await Task.sleep(for: moment)
    try await fleet.storage.crash()
    return try await result
  }
}
