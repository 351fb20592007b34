import Glibc
import PumiceModel
import Synchronization
import Testing

@testable import PumiceAgent

struct BlockingCallsTests {
  @Test func callsThatBlockDoNotKeepOthersWaiting() async throws {
    // Each of them ends only when all have begun.
    let begun = Count()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<6 {
        group.addTask {
          try await BlockingCalls.run { () throws(StorageError) in
            begun.value.withLock { $0 += 1 }
            for _ in 0..<6000 where begun.value.withLock({ $0 }) < 6 { usleep(10_000) }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(begun.value.withLock { $0 } == 6)
  }

  @Test func manyCallsFromManyTasksAllEnd() async throws {
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 1...2000 { group.addTask { try await BlockingCalls.run { () throws(StorageError) in number } } }
      return try await group.reduce(0, +)
    }
    #expect(sum == 2_001_000)
  }

  @Test func anErrorComesThroughAsItIs() async {
    let error = await #expect(throws: StorageError.self) {
      try await BlockingCalls.run { () throws(StorageError) -> Int in throw StorageError(.noSpace, "Full.") }
    }
    #expect(error?.code == .noSpace)
  }

  @Test func aCallThatHangsIsGivenUpAndItsThreadReplaced() async throws {
    let gate = Gate()
    let hanging = 12
    try await withThrowingTaskGroup(of: StorageError.Code?.self) { group in
      for _ in 0..<hanging {
        group.addTask {
          do throws(StorageError) {
            try await BlockingCalls.run(within: .milliseconds(50), "Waiting") { () throws(StorageError) in
              while !gate.isOpen { usleep(5_000) }
            }
            return nil
          } catch {
            return error.code
          }
        }
      }
      for try await code in group { #expect(code == .timeout) }
    }
    // More hang than there were threads, and calls go through all the same.
    let number = try await BlockingCalls.run(within: .seconds(10), "Counting") { () throws(StorageError) in 7 }
    #expect(number == 7)
    gate.open()
    let sum = try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 1...200 {
        group.addTask {
          try await BlockingCalls.run(within: .seconds(10), "Counting") { () throws(StorageError) in number }
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(sum == 20_100)
  }

  @Test func aBrokenPipeIsAnErrorAndNotTheEndOfTheProcess() async throws {
    let number = try await BlockingCalls.run { () throws(StorageError) in
      var ends: [Int32] = [0, 0]
      pipe(&ends)
      close(ends[0])
      defer { close(ends[1]) }
      return write(ends[1], "x", 1) < 0 ? errno : 0
    }
    #expect(number == EPIPE)
  }
}

private final class Count: Sendable {
  let value = Mutex(0)
}

private final class Gate: Sendable {
  private let state = Mutex(false)
  var isOpen: Bool { state.withLock { $0 } }
  func open() { state.withLock { $0 = true } }
}
