import Foundation
import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// Many volumes at once: thin logical volumes, LIO's targets, and an instance per client.
  ///
  /// `PUMICE_LOAD` is another number of volumes than 200.
  @Suite(.enabled(if: LabTests.isWhole), .timeLimit(.minutes(15))) struct Load {
    private static let count = ProcessInfo.processInfo.environment["PUMICE_LOAD"].flatMap { Int($0) } ?? 200

    @Test func twoHundredVolumesAtOnceMakeNoErrorAndLeaveNothing() async throws {
      try await Bed.with { bed in
        let fleet = try await LabFleet(storage: .largeThinLVMOverLIO, in: bed, reportInterval: 10)
        try await fleet.startWithoutGuest()
        try await fleet.api.liftQuota()
        let guests = try await fleet.defineGuests(32)
        try await fleet.telling {
          let clock = ContinuousClock()
          let start = clock.now
          let clients = try await Self.each(0..<guests.count) { number in
            let client = Client(number: number, guest: guests[number], api: fleet.api)
            return try await client.attachNew(Array(stride(from: number, to: Self.count, by: guests.count)))
          }
          let attached = clock.now - start

          let volumes = Set(clients.flatMap(\.volumes))
          #expect(volumes.count == Self.count)
          try await expectOfEach(volumes, fleet, clients)
          let seen = clock.now - start

          _ = try await Self.each(clients.indices) { try await clients[$0].removeAll() }
          let removed = clock.now - start
          try await expectNothing(fleet, guests)
          let repeats = try repeats(fleet)
          print(
            "\(Self.count) volumes: attached after \(attached), looked at after \(seen), gone after \(removed), \(repeats) repeats"
          )
        }
      }
    }

    /// Does the work for all elements at once.
    private static func each<Element: Sendable, Result: Sendable>(
      _ elements: some Sequence<Element>, _ work: @escaping @Sendable (Element) async throws -> Result
    ) async throws -> [Result] {
      try await withThrowingTaskGroup(of: Result.self) { group in
        for element in elements { group.addTask { try await work(element) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
    }

    // MARK: What is there

    /// Every volume is there once: as a logical volume, a target with one initiator, an attachment, a disk, and for who
    /// logs in.
    private func expectOfEach(_ volumes: Set<VolumeID>, _ fleet: LabFleet, _ clients: [Client]) async throws {
      let names = try await fleet.storage.node.run("lvs --noheadings -o lv_name --select 'lv_tags=pumice' data")
        .split(whereSeparator: \.isWhitespace).map(String.init)
      #expect(names.sorted() == volumes.map { "volume-\($0)" }.sorted())

      let exports = try await self.exports(fleet)
      #expect(exports.count == Self.count)
      #expect(Set(exports.map(\.iqn)).count == Self.count)
      #expect(Set(exports.map(\.initiator)).count == Self.count)
      #expect(Set(exports.map(\.user)).count == Self.count)
      #expect(Set(exports.compactMap { VolumeID($0.serial) }) == volumes)

      let attachments = try await fleet.api.get("/v3/\(fleet.api.project)/attachments/detail")["attachments"].array
      #expect(attachments.allSatisfy { $0["status"].string == "attached" })
      #expect(Set(attachments.compactMap { $0["id"].string }).count == Self.count)
      #expect(attachments.compactMap { $0["volume_id"].string }.sorted() == volumes.map { "\($0)" }.sorted())

      for client in clients {
        let serials = try await client.guest.xml(stored: true).matches(of: /<serial>([^<]*)<\/serial>/)
          .compactMap { VolumeID(String($0.1)) }
        #expect(serials.count == client.volumes.count)
        #expect(Set(serials) == Set(client.volumes))
      }

      let shares = (0..<8).map { share in stride(from: share, to: exports.count, by: 8).map { exports[$0] } }
      let wrong = try await Self.each(shares) { share in
        var wrong: [String] = []
        for export in share {
          let serial = try await export.serial(in: fleet)
          if serial != export.serial { wrong.append("\(export.iqn) shows \(serial), not \(export.serial)") }
        }
        return wrong
      }
      #expect(wrong.flatMap(\.self) == [])
    }

    private func exports(_ fleet: LabFleet) async throws -> [Export] {
      // Tests of their own look at who is let in; here, the secrets are taken from the target.
      let output = try await fleet.storage.node.run(
        """
        cd /sys/kernel/config/target/iscsi
        for acl in iqn*/tpgt_1/acls/*; do
          iqn=${acl%%/*}
          read user <$acl/auth/userid; read secret <$acl/auth/password
          serial=$(cat $iqn/tpgt_1/lun/lun_*/*/wwn/vpd_unit_serial)
          echo "$iqn ${acl##*/} $user $secret ${serial##* }"
        done
        """)
      return try output.split(separator: "\n").map { line in
        let words = line.split(separator: " ").map(String.init)
        guard words.count == 5 else { throw TestBedFailure("An export is half made: \(line)") }
        return Export(
          portal: "\(fleet.storage.node.address):3260", iqn: words[0], initiator: words[1], user: words[2],
          secret: words[3],
          serial: words[4])
      }
    }

    private struct Export: Sendable {
      let portal: String
      let iqn: String
      let initiator: String
      let user: String
      let secret: String
      let serial: String

      /// INQUIRY page 0x80, by a login of its own.
      func serial(in fleet: LabFleet) async throws -> String {
        let url = "iscsi://\(user)%\(secret)@\(portal)/\(iqn)/1"
        return try await fleet.lab.unitSerial(at: url, as: initiator)
      }
    }

    private func expectNothing(_ fleet: LabFleet, _ guests: [Guest]) async throws {
      try await fleet.waitUntilNothingIsLeft()
      let kernel = "find /sys/kernel/config/target -name 'volume-*' -o -path '*/acls/*' -o -name 'iqn*'"
      #expect(try await fleet.storage.node.run(kernel) == "")
      #expect(try await fleet.storage.node.run("dmsetup ls | grep -c volume-; true") == "0\n")
      #expect(try await fleet.storage.node.run("find /var/lib/pumice-agent -name '*.json'") == "")
      for guest in guests { #expect(try await !guest.xml(stored: true).contains("<disk")) }
      #expect(try await fleet.libvirt.virsh("secret-list").filter { !$0.isWhitespace } == "")
      let project = "/v3/\(fleet.api.project)"
      #expect(try await fleet.api.get("\(project)/volumes")["volumes"].array.isEmpty)
      #expect(try await fleet.api.get("\(project)/attachments")["attachments"].array.isEmpty)
      #expect(try await fleet.api.get("\(project)/messages")["messages"].array.isEmpty)
    }

    /// How often a call was repeated, which on a busy machine happens, and no user sees. Nothing else may have gone wrong.
    private func repeats(_ fleet: LabFleet) throws -> Int {
      let logs = [fleet.coordinator.daemon.log, fleet.computeAgent.daemon.log, fleet.storage.agent.daemon.log]
      let lines = try logs.flatMap { try String(contentsOfFile: $0, encoding: .utf8).split(separator: "\n") }
      let repeats = lines.filter { $0.contains("error=") }
      #expect(repeats.filter { !$0.contains("was not answered within") } == [])
      #expect(lines.filter { $0.contains(" error pumice") || $0.contains(" critical pumice") } == [])
      return repeats.count
    }
  }
}

/// A user with an instance.
private struct Client: Sendable {
  let number: Int
  let guest: Guest
  let api: API
  private(set) var volumes: [VolumeID] = []
  private static let patience = Duration.seconds(600)
  private static let interval = Duration.milliseconds(200)

  init(number: Int, guest: Guest, api: API) {
    self.number = number
    self.guest = guest
    self.api = api
  }

  /// Asks for all of its volumes, attaches each as soon as it is there, and returns when the instance has all.
  func attachNew(_ numbers: [Int]) async throws -> Client {
    var client = self
    for number in numbers {
      client.volumes.append(try await api.createVolume(name: "load-\(number)", gibibytes: 1))
    }
    for volume in client.volumes {
      try await api.waitForVolume(volume, status: "available", within: Self.patience, every: Self.interval)
      try await api.attach(volume, to: guest.id)
    }
    for volume in client.volumes {
      try await api.waitForVolume(volume, status: "in-use", within: Self.patience, every: Self.interval)
    }
    return client
  }

  /// Detaches all, deletes each as soon as it is free, and returns when all are gone.
  func removeAll() async throws {
    for volume in volumes { try await api.detach(volume, from: guest.id) }
    for volume in volumes {
      try await api.waitForVolume(volume, status: "available", within: Self.patience, every: Self.interval)
      try await api.deleteVolume(volume)
    }
    for volume in volumes { try await api.waitUntilGone(volume, within: Self.patience, every: Self.interval) }
  }
}
