import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// `kill -9` of every part at several points of every operation: all converges, and the guest's data is intact.
  @Suite(.timeLimit(.minutes(10))) struct Kills {
    enum Part: String, CaseIterable, CustomTestStringConvertible {
      case coordinator, agent, tgtd, libvirtd

      var testDescription: String { rawValue }
    }

    let fleet: LoopbackFleet

    init() throws { fleet = try OneFleet.current() }

    /// One whole life of a volume, with the part killed so long after each request.
    @Test(arguments: Part.allCases, [0, 15, 60, 200])
    func aVolumesLifeGoesOn(whenKilled part: Part, after milliseconds: Int) async throws {
      let moment = Duration.milliseconds(milliseconds)
      let client = InsistentClient(api: fleet.api)
      let (api, guest, mortal) = (fleet.api, fleet.guest, mortal(part))
      try await fleet.telling {
        let volume = try await mortal.dying(after: moment) {
          try await client.create("\(part.rawValue)-\(milliseconds)", gibibytes: 1)
        }
        try await api.waitForVolume(volume, status: "available")

        try await mortal.dying(after: moment) { try await client.attach(volume, to: guest.id) }
        try await api.waitForVolume(volume, status: "in-use")
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        let written = try await guest.writeRandom(.mebibytes(8), to: disk)

        try await mortal.dying(after: moment) { try await client.extend(volume, toGibibytes: 2) }
        try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        _ = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
        #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == written)

        try await mortal.dying(after: moment) { try await client.detach(volume, from: guest.id) }
        try await api.waitForVolume(volume, status: "available")
        #expect(try await guest.disk(of: volume) == nil)
        #expect(try await fleet.sha256(ofBackingFileOf: volume, count: .mebibytes(8)) == written)

        try await mortal.dying(after: moment) { try await client.delete(volume) }
        try await api.waitUntilGone(volume)
        try await fleet.expectNothingLeft()
      }
    }

    @Test(arguments: Part.allCases)
    func aGuestThatWritesLosesNothing(whenKilled part: Part) async throws {
      let (api, guest, mortal) = (fleet.api, fleet.guest, mortal(part))
      try await fleet.telling {
        let volume = try await api.createVolume(name: "written-\(part.rawValue)", gibibytes: 1)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: guest.id)
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        try await api.waitForVolume(volume, status: "in-use")

        async let written = guest.writeRandom(.mebibytes(48), to: disk)
        for _ in 0..<3 {
          try await Task.sleep(for: .milliseconds(400))
          try await mortal.kill9()
          try await mortal.start()
        }
        let sum = try await written

        #expect(try await guest.sha256(of: disk, count: .mebibytes(48)) == sum)
        #expect(try await fleet.sha256(ofBackingFileOf: volume, count: .mebibytes(48)) == sum)
        try await InsistentClient(api: api).detach(volume, from: guest.id)
        try await api.waitForVolume(volume, status: "available")
        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        try await fleet.expectNothingLeft()
      }
    }

    private func mortal(_ part: Part) -> any Mortal {
      switch part {
      case .coordinator: fleet.coordinator
      case .agent: fleet.agent
      case .tgtd: fleet.target
      case .libvirtd: fleet.libvirt
      }
    }
  }
}
