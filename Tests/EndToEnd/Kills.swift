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
      let (api, guest) = (fleet.api, fleet.guest)
      try await fleet.telling {
        let volume = try await whileKilling(part, after: moment) {
          try await client.create("\(part.rawValue)-\(milliseconds)", gibibytes: 1)
        }
        try await api.waitForVolume(volume, status: "available")

        try await whileKilling(part, after: moment) { try await client.attach(volume, to: guest.id) }
        try await api.waitForVolume(volume, status: "in-use")
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        let written = try await guest.writeRandom(.mebibytes(8), to: disk)

        try await whileKilling(part, after: moment) { try await client.extend(volume, toGibibytes: 2) }
        try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        _ = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
        #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == written)

        try await whileKilling(part, after: moment) { try await client.detach(volume, from: guest.id) }
        try await api.waitForVolume(volume, status: "available")
        #expect(try await guest.disk(of: volume) == nil)
        #expect(try await fleet.sha256(ofBackingFileOf: volume, count: .mebibytes(8)) == written)

        try await whileKilling(part, after: moment) { try await client.delete(volume) }
        try await api.waitUntilGone(volume)
        try await fleet.expectNothingLeft()
      }
    }

    @Test(arguments: Part.allCases)
    func aGuestThatWritesLosesNothing(whenKilled part: Part) async throws {
      let (api, guest) = (fleet.api, fleet.guest)
      try await fleet.telling {
        let volume = try await api.createVolume(name: "written-\(part.rawValue)", gibibytes: 1)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: guest.id)
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        try await api.waitForVolume(volume, status: "in-use")

        async let written = guest.writeRandom(.mebibytes(48), to: disk)
        for _ in 0..<3 {
          try await Task.sleep(for: .milliseconds(400))
          try await kill(part)
          try await start(part)
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

    /// Does the work, kills the part so long after its beginning, and starts it again.
    private func whileKilling<Result: Sendable>(
      _ part: Part, after moment: Duration, _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
      async let result = work()
      try await Task.sleep(for: moment)
      try await kill(part)
      try await Task.sleep(for: .milliseconds(100))
      try await start(part)
      return try await result
    }

    private func kill(_ part: Part) async throws {
      switch part {
      case .coordinator: try await fleet.coordinator.daemon.kill9()
      case .agent: try await fleet.agent.daemon.kill9()
      case .tgtd: try await fleet.target.kill9()
      case .libvirtd: try await fleet.libvirt.kill9()
      }
    }

    private func start(_ part: Part) async throws {
      switch part {
      case .coordinator: try await fleet.coordinator.daemon.start()
      case .agent: try await fleet.agent.daemon.start()
      case .tgtd: try await fleet.target.start()
      case .libvirtd: try await fleet.libvirt.start()
      }
    }
  }
}
