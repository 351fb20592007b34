import PumiceModel
import TestBed
import Testing

extension EndToEndTests {
  /// `kill -9` of every part at several points of every operation on a volume of a share: all converges, the guest's data is
  /// intact, and so are the images.
  @Suite(.timeLimit(.minutes(10)), .oneShareFleet) struct ShareKills {
    enum Part: String, CaseIterable, CustomTestStringConvertible {
      case coordinator, agent, ganesha, libvirtd

      var testDescription: String { rawValue }
    }

    let share: ShareFleet
    let fleet: LoopbackFleet

    init() throws {
      share = try OneShareFleet.current()
      fleet = share.fleet
    }

    /// One whole life of a volume, with the part killed so long after each request.
    @Test(arguments: Part.allCases, [0, 40, 150])
    func aVolumesLifeGoesOn(whenKilled part: Part, after milliseconds: Int) async throws {
      let moment = Duration.milliseconds(milliseconds)
      let client = InsistentClient(api: fleet.api)
      let (api, guest, mortal) = (fleet.api, fleet.guest, mortal(part))
      let life = "\(part.rawValue)-\(milliseconds)"
      try await fleet.telling {
        let volume = try await placed(by: part, after: moment) { try await client.create(life, gibibytes: 1) }

        try await mortal.dying(after: moment) { try await client.attach(volume, to: guest.id) }
        try await api.waitForVolume(volume, status: "in-use")
        let attached = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        _ = try await guest.writeRandom(.mebibytes(8), to: attached)

        let begun = try await mortal.dying(after: moment) {
          try await client.takeSnapshot("first-\(life)", of: volume)
        }
        let isForgotten = try await isForgotten(begun)
        #expect(!isForgotten || part == .libvirtd)
        let first = isForgotten ? try await beginningAgain(begun, of: volume, "again-\(life)") : begun
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        let hidden = try await guest.writeRandom(.mebibytes(8), to: disk)
        let early = try await guest.writeRandom(.mebibytes(4), to: disk, at: .mebibytes(64))

        try await mortal.dying(after: moment) { try await client.extend(volume, toGibibytes: 2) }
        try await api.waitForVolume(volume, status: "in-use", gibibytes: 2)
        _ = try await fleet.waitForDisk(of: volume, size: .gibibytes(2))
        let beyond = try await guest.writeRandom(.mebibytes(4), to: disk, at: .mebibytes(1500))
        let second = try await client.takeSnapshot("second-\(life)", of: volume)
        try await api.waitForSnapshot(second, status: "available")
        let late = try await guest.writeRandom(.mebibytes(8), to: disk)

        // The layers below are merged under the guest.
        try await mortal.dying(after: moment) { try await client.deleteSnapshot(first) }
        try await api.waitUntilGone(first)
        #expect(try await guest.sha256(of: disk, count: .mebibytes(8)) == late)
        #expect(try await guest.sha256(of: disk, count: .mebibytes(4), at: .mebibytes(64)) == early)
        #expect(try await guest.sha256(of: disk, count: .mebibytes(4), at: .mebibytes(1500)) == beyond)

        try await mortal.dying(after: moment) { try await client.detach(volume, from: guest.id) }
        try await api.waitForVolume(volume, status: "available")
        #expect(try await guest.disk(of: volume) == nil)
        try await share.expectSoundImages(of: volume)
        #expect(try await share.sha256(of: volume, count: .mebibytes(8)) == late)

        try await mortal.dying(after: moment) { try await client.revert(volume, to: second) }
        try await api.waitForVolume(volume, status: "available")
        #expect(try await share.sha256(of: volume, count: .mebibytes(8)) == hidden)

        // And now with nobody to take part.
        try await mortal.dying(after: moment) { try await client.deleteSnapshot(second) }
        try await api.waitUntilGone(second)
        #expect(try await share.sha256(of: volume, count: .mebibytes(8)) == hidden)
        try await share.expectSoundImages(of: volume)

        try await mortal.dying(after: moment) { try await client.delete(volume) }
        try await api.waitUntilGone(volume)
        try await share.expectNothingLeft()
      }
    }

    /// While it gets and loses layers, 48 MiB of which have to be merged.
    @Test(arguments: Part.allCases)
    func aGuestThatWritesLosesNothing(whenKilled part: Part) async throws {
      let (api, guest, mortal) = (fleet.api, fleet.guest, mortal(part))
      try await fleet.telling {
        try await share.waitUntilUp()
        let volume = try await api.createVolume(name: "written-\(part.rawValue)", gibibytes: 1)
        try await api.waitForVolume(volume, status: "available")
        try await api.attach(volume, to: guest.id)
        let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
        try await api.waitForVolume(volume, status: "in-use")
        func takeSnapshot(_ name: String) async throws -> SnapshotID {
          let snapshot = try await api.takeSnapshot(name: "\(name)-\(part.rawValue)", of: volume)
          try await api.waitForSnapshot(snapshot, status: "available")
          return snapshot
        }
        let first = try await takeSnapshot("first")
        let merged = try await guest.writeRandom(.mebibytes(48), to: disk)
        let second = try await takeSnapshot("second")

        async let written = guest.writeRandom(.mebibytes(48), to: disk, at: .mebibytes(256))
        try await api.deleteSnapshot(first)
        for _ in 0..<3 {
          try await Task.sleep(for: .milliseconds(250))
          try await mortal.kill9()
          try await mortal.start()
        }
        let sum = try await written
        try await api.waitUntilGone(first)

        #expect(try await guest.sha256(of: disk, count: .mebibytes(48)) == merged)
        #expect(try await guest.sha256(of: disk, count: .mebibytes(48), at: .mebibytes(256)) == sum)
        let client = InsistentClient(api: api)
        // A copy of all of it, however empty, takes its time.
        let copy = try await placed(by: part, after: .milliseconds(400)) {
          try await client.create("copy-\(part.rawValue)", from: second, gibibytes: 1)
        }
        #expect(try await share.sha256(of: copy, count: .mebibytes(48)) == merged)
        try await client.detach(volume, from: guest.id)
        try await api.waitForVolume(volume, status: "available")
        try await share.expectSoundImages(of: volume)
        #expect(try await share.sha256(of: volume, count: .mebibytes(48)) == merged)
        try await client.deleteSnapshot(second)
        try await api.waitUntilGone(second)
        for volume in [volume, copy] {
          try await client.delete(volume)
          try await api.waitUntilGone(volume)
        }
        try await share.expectNothingLeft()
      }
    }

    /// The volume when it is available. One that is asked for while its only pool is down is refused: another is made.
    private func placed(
      by part: Part, after moment: Duration, _ create: @escaping @Sendable () async throws -> VolumeID
    ) async throws -> VolumeID {
      let api = fleet.api
      try await share.waitUntilUp()
      let volume = try await mortal(part).dying(after: moment, create)
      let status = try await eventually("volume \(volume) is made, or not", within: .seconds(60)) {
        let status = try await api.volume(volume)["status"].string ?? ""
        return status == "creating" ? nil : status
      }
      if status == "error", part == .ganesha {
        try await api.deleteVolume(volume)
        try await api.waitUntilGone(volume)
        try await share.waitUntilUp()
        let another = try await create()
        try await api.waitForVolume(another, status: "available")
        return another
      }
      try await api.waitForVolume(volume, status: "available")
      return volume
    }

    /// Whether the snapshot could not be taken since QEMU went over to its layer while libvirtd died, which never hears of it.
    private func isForgotten(_ snapshot: SnapshotID) async throws -> Bool {
      let status = try await eventually("snapshot \(snapshot) is taken, or not", within: .seconds(60)) {
        let status = try await fleet.api.snapshot(snapshot)["status"].string ?? ""
        return status == "available" || status == "error" ? status : nil
      }
      guard status == "error" else { return false }
      let messages = try await fleet.api.get("/v3/\(fleet.api.project)/messages")["messages"].array
      let why = messages.first { $0["resource_uuid"].string == "\(snapshot)" }?["user_message"].string ?? ""
      #expect(why.contains("of which libvirt does not know. Detach the volume"), "\(messages)")
      return true
    }

    /// Does what the message says, and takes another.
    private func beginningAgain(
      _ snapshot: SnapshotID, of volume: VolumeID, _ name: String
    ) async throws -> SnapshotID {
      let (api, guest) = (fleet.api, fleet.guest)
      let disk = try await fleet.waitForDisk(of: volume, size: .gibibytes(1))
      let written = try await guest.writeRandom(.mebibytes(4), to: disk)
      try await api.detach(volume, from: guest.id)
      try await api.waitForVolume(volume, status: "available")
      #expect(try await share.sha256(of: volume, count: .mebibytes(4)) == written)
      try await share.expectSoundImages(of: volume)
      try await api.deleteSnapshot(snapshot)
      try await api.waitUntilGone(snapshot)
      try await api.attach(volume, to: guest.id)
      try await api.waitForVolume(volume, status: "in-use")
      let again = try await api.takeSnapshot(name: name, of: volume)
      try await api.waitForSnapshot(again, status: "available")
      return again
    }

    private func mortal(_ part: Part) -> any Mortal {
      switch part {
      case .coordinator: fleet.coordinator
      case .agent: fleet.agent
      case .ganesha: share.server
      case .libvirtd: fleet.libvirt
      }
    }
  }
}
