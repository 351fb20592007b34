import HashTreeCollections
import PumiceCoordinator
import PumiceModel
import Testing

@Suite struct StoreTests {
  @Test func whatIsWrittenIsSeenAndSurvives() async throws {
    let journal = InMemoryJournal()
    let volume = Volume.make()
    try await withStore(journal) { store in
      try await store.write { $0.put(volume) }
      #expect(store.tables.volumes[volume.id] == volume)
    }
    try await withStore(journal) { store in
      #expect(store.tables.volumes[volume.id] == volume)
      #expect(store.tables.pending == [.volume(volume.id)], "Pending work is derived from the rows alone.")
    }
  }

  @Test func aTransactionThatThrowsWritesNothing() async throws {
    let journal = InMemoryJournal()
    try await withStore(journal) { store in
      let error = await #expect(throws: StorageError.self) {
        try await store.write { tables in
          tables.put(Volume.make())
          throw StorageError(.overQuota, "no")
        }
      }
      #expect(error?.code == .overQuota)
      #expect(store.tables.volumes.isEmpty)
    }
    #expect(try await journal.load().isEmpty)
  }

  @Test func oneThatThrowsSparesItsNeighbours() async throws {
    try await withStore(InMemoryJournal()) { store in
      let outcomes = await withTaskGroup(of: Bool.self) { group in
        for number in 0..<40 {
          group.addTask {
            let result: Void? = try? await store.write { tables in
              tables.put(Volume.make())
              if number % 2 == 0 { throw StorageError(.conflict, "no") }
            }
            return result != nil
          }
        }
        return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
      }
      #expect(outcomes == 20)
      #expect(store.tables.volumes.count == 20)
    }
  }

  @Test func writersThatComeTogetherShareACommit() async throws {
    let commits = Counter()
    let journal = InMemoryJournal { point in
      if point.contains("before") {
        _ = commits.next()
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    try await withStore(journal) { store in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<200 { group.addTask { try await store.write { $0.put(Volume.make()) } } }
        try await group.waitForAll()
      }
      #expect(store.tables.volumes.count == 200)
    }
    #expect(commits.value < 20, "200 writes took \(commits.value) commits.")
  }

  @Test func nobodySeesWhatIsNotDurable() async throws {
    let gate = Gate()
    let journal = InMemoryJournal { point in if point.contains("before") { await gate.wait() } }
    try await withStore(journal) { store in
      async let written: Void = store.write { $0.put(Volume.make()) }
      while !gate.isWaitedFor { await Task.yield() }
      #expect(store.tables.volumes.isEmpty)
      gate.open()
      try await written
      #expect(store.tables.volumes.count == 1)
    }
  }

  @Test func aFullDiskFailsTheWriteAndNotTheStore() async throws {
    let flag = Flag(true)
    let journal = InMemoryJournal { _ in
      if flag.value { throw StorageError(.unavailable, "disk full") }
    }
    try await withStore(journal) { store in
      let error = await #expect(throws: StorageError.self) { try await store.write { $0.put(Volume.make()) } }
      #expect(error?.message == "disk full")
      #expect(store.tables.volumes.isEmpty)
      flag.value = false
      try await store.write { $0.put(Volume.make()) }
      #expect(store.tables.volumes.count == 1)
    }
  }

  @Test func aBrokenJournalEndsTheProcess() async throws {
    struct Broken: Error {}
    let store = try await Store.open(InMemoryJournal { point in if point.contains("before") { throw Broken() } })
    let running = Task { try await store.run() }
    await #expect(throws: Broken.self) { try await store.write { $0.put(Volume.make()) } }
    await #expect(throws: Broken.self) { try await running.value }
    let error = await #expect(throws: StorageError.self) { try await store.write { $0.put(Volume.make()) } }
    #expect(error?.code == .unavailable)
  }
}
