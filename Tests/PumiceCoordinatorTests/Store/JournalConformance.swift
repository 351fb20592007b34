import Foundation
import PumiceCoordinator
import PumiceIdentity
import PumiceModel
import Testing

/// What every journal is held to. `reopen` gives the journal as a restarted process finds it.
struct JournalConformance {
  let journal: any Journal
  let reopen: () throws -> any Journal

  func check() async throws {
    #expect(try await journal.load().isEmpty)

    var volume = Volume.make(name: "it's \"quoted\" 名前")
    let group = Group(
      id: .random(), project: "p", name: "g", type: .random(), volumeTypes: [.random()], createdAt: .start)
    let rows: [Row] = [
      .volume(volume), .attachment(.make(volume: volume.id)), .snapshot(.make(of: volume)),
      .residue(Residue(Residue.Key(volume: volume.id, pool: .make()), revision: 3)),
      .residue(Residue(Residue.Key(volume: volume.id, snapshot: .random(), pool: .make()), revision: 3)),
      .volumeType(.make(extraSpecs: ["capabilities:replication": "<is> True"])),
      .quota(QuotaSet(project: "p", limits: ["volumes": -1])),
      .node(Node(name: "n", address: "http://[::1]:9776", availabilityZone: "a", registeredAt: .start)),
      .message(
        UserMessage(id: .random(), project: "p", volume: volume.id, action: .create, text: "why", createdAt: .start)),
      .revocation(
        Revocation(
          of: Token(
            user: "u", project: nil, methods: [.password], stamp: "s", audit: "a", issued: .start, expires: .start))),
      .qosSpec(
        try QoSSpec(
          id: .random(), name: "q", consumer: .both, rules: ["total_iops_sec": "5"], createdAt: .start)),
      .transfer(Transfer(id: .random(), of: volume, leavesSnapshots: true, keyDigest: "d", createdAt: .start)),
      .defaultType(DefaultVolumeType(project: "p", type: .random())),
      .quotaClass(QuotaSet(project: "default", limits: ["volumes": 3])),
      .groupType(GroupType(id: .random(), name: "g", specs: [GroupType.consistency: "<is> True"], createdAt: .start)),
      .group(group),
      .groupSnapshot(GroupSnapshot(id: .random(), of: group, name: "s", isTakenTogether: true, createdAt: .start)),
    ]
    try await journal.commit(rows.map { .put($0) })
    #expect(try await sorted(journal) == sorted(rows))
    #expect(try await sorted(try reopen()) == sorted(rows), "A committed row survives a restart.")

    try volume.place(on: .make(), availabilityZone: "a", at: .start)
    var named = volume
    named.name = "last write wins"
    try await journal.commit([.put(.volume(volume)), .put(.volume(named)), .remove(rows[1].key)])
    let expected = sorted([.volume(named)] + rows[2...])
    #expect(try await sorted(try reopen()) == expected)

    try await journal.commit([.remove(rows[1].key)])
    #expect(try await sorted(journal) == expected, "Removing what is not there changes nothing.")
  }

  private func sorted(_ journal: any Journal) async throws -> [Row] { sorted(try await journal.load()) }

  private func sorted(_ rows: [Row]) -> [Row] {
    rows.sorted { ($0.key.table.rawValue, $0.key.id) < ($1.key.table.rawValue, $1.key.id) }
  }
}

@Suite struct JournalTests {
  @Test func memoryKeepsRows() async throws {
    let journal = InMemoryJournal()
    try await JournalConformance(journal: journal, reopen: { journal }).check()
  }

  @Test func sqliteKeepsRows() async throws {
    try await withTemporaryFolder { folder in
      let path = folder + "/pumice.sqlite"
      // The conformance suite reopens beside the running one, which the lock refuses: it is given copies of the file.
      let copies = Counter()
      try await JournalConformance(
        journal: try SQLiteJournal(path: path),
        reopen: {
          let copy = "\(folder)/copy-\(copies.next())"
          for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
          }
          return try SQLiteJournal(path: copy)
        }
      ).check()
    }
  }

  @Test func aSecondCoordinatorIsRefused() async throws {
    try await withTemporaryFolder { folder in
      let first = try SQLiteJournal(path: folder + "/pumice.sqlite")
      let error = #expect(throws: StorageError.self) { try SQLiteJournal(path: folder + "/pumice.sqlite") }
      #expect(error?.code == .inUse)
      _ = try await first.load()
    }
  }

  @Test func theFileIsForItsOwnerOnly() async throws {
    try await withTemporaryFolder { folder in
      let journal = try SQLiteJournal(path: folder + "/pumice.sqlite")
      try await journal.commit([.put(.quota(QuotaSet(project: "p")))])
      for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
        let mode = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)[.posixPermissions] as? Int
        #expect(mode.map { $0 & 0o077 } == 0, "\(name) is open to others: \(String(mode ?? 0, radix: 8))")
      }
    }
  }
}
