import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct KeyedLockTests {
  @Test func bodiesOfOneKeyNeverOverlap() async throws {
    let lock = KeyedLock<Int>()
    let inside = Shared(0)
    try await withThrowingTaskGroup { group in
      for _ in 0..<100 {
        group.addTask {
          try await lock.withLock(1) { () async throws(StorageError) in
            #expect(
              inside.withLock {
                $0 += 1
                return $0
              } == 1)
            await Task.yield()
            inside.withLock { $0 -= 1 }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(lock.heldKeys == 0)
  }

  @Test func keysDoNotWaitForEachOther() async throws {
    let lock = KeyedLock<Int>()
    try await lock.withLock(1) { () async throws(StorageError) in
      try await lock.withLock(2) { () async throws(StorageError) in #expect(lock.heldKeys == 2) }
    }
    #expect(lock.heldKeys == 0)
  }

  @Test func whoAsksFirstGoesFirst() async throws {
    let lock = KeyedLock<Int>()
    let order = Shared<[Int]>([])
    try await withThrowingTaskGroup { group in
      try await lock.withLock(1) { () async throws(StorageError) in
        for number in 1...20 {
          group.addTask {
            try await lock.withLock(1) { () async throws(StorageError) in order.withLock { $0.append(number) } }
          }
          while lock.waiters(for: 1) < number { await Task.yield() }
        }
      }
      try await group.waitForAll()
    }
    #expect(order.withLock { $0 } == Array(1...20))
  }

  @Test func whereTooManyWaitTheNextIsToldAtOnce() async throws {
    let lock = KeyedLock<Int>()
    try await withThrowingTaskGroup { group in
      try await lock.withLock(1) { () async throws(StorageError) in
        for number in 1...2 {
          group.addTask { try await lock.withLock(1, queue: 2) {} }
          while lock.waiters(for: 1) < number { await Task.yield() }
        }
        let told = await #expect(throws: StorageError.self) { try await lock.withLock(1, queue: 2) {} }
        #expect(told?.code == .busy && told?.isTransient == true)
      }
      try await group.waitForAll()
    }
    #expect(lock.heldKeys == 0)
  }

  @Test func aCancelledWaiterGoesAwayAndTheOthersGoOn() async throws {
    let lock = KeyedLock<Int>()
    let outcomes = Shared<[String]>([])
    await withDiscardingTaskGroup { group in
      let (gate, open) = AsyncStream<Void>.makeStream()
      group.addTask {
        try? await lock.withLock(1) { () async throws(StorageError) in for await _ in gate {} }
      }
      while lock.heldKeys == 0 { await Task.yield() }
      await withTaskGroup(of: Void.self) { waiting in
        waiting.addTask {
          do throws(StorageError) {
            try await lock.withLock(1) { () async throws(StorageError) in outcomes.withLock { $0.append("ran") } }
          } catch {
            outcomes.withLock { $0.append("\(error.code)") }
          }
        }
        while lock.waiters(for: 1) < 1 { await Task.yield() }
        waiting.cancelAll()
      }
      #expect(outcomes.withLock { $0 } == ["unavailable"])
      #expect(lock.waiters(for: 1) == 0)
      open.finish()
    }
    try await lock.withLock(1) { () async throws(StorageError) in outcomes.withLock { $0.append("next") } }
    #expect(outcomes.withLock { $0 } == ["unavailable", "next"])
    #expect(lock.heldKeys == 0)
  }

  @Test func aBodyThatThrowsGivesTheLockBack() async throws {
    let lock = KeyedLock<Int>()
    await #expect(throws: StorageError.self) {
      try await lock.withLock(1) { () async throws(StorageError) in throw StorageError(.failed, "no") }
    }
    #expect(lock.heldKeys == 0)
  }
}
