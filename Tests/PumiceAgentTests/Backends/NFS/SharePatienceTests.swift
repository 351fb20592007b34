import PumiceModel
import Testing

@testable import PumiceAgent

@Suite(.timeLimit(.minutes(1))) struct SharePatienceTests {
  private let patience = SharePatience("nas:/a")

  @Test func anAnswerInTimeIsTheAnswer() async throws {
    #expect(try await patience.ask(within: .seconds(30), "Asking") { () async throws(StorageError) -> Int in 7 } == 7)
    let error = await #expect(throws: StorageError.self) {
      try await patience.ask(within: .seconds(30), "Asking") { () async throws(StorageError) -> Int in
        throw StorageError(.notFound, "It is not there.")
      }
    }
    #expect(error?.code == .notFound)
    #expect(!patience.isExhausted)
  }

  @Test func whatIsLateHoldsUpNobodyAndIsForgottenWhenItEnds() async throws {
    let (answers, answer) = AsyncStream<Int>.makeStream()
    let begin = ContinuousClock.now
    let late = await #expect(throws: StorageError.self) {
      try await patience.ask(within: .milliseconds(50), "Asking") { () async throws(StorageError) -> Int in
        await answers.first { _ in true } ?? 0
      }
    }
    #expect(late?.code == .unavailable && late?.message.contains("nas:/a has not answered for") == true)
    #expect(patience.isExhausted)
    let next = await #expect(throws: StorageError.self) {
      try await patience.ask(within: .seconds(50), "Asking again") { () async throws(StorageError) -> Int in 8 }
    }
    #expect(next?.code == .unavailable && next?.message.contains("what was asked before") == true)
    #expect(ContinuousClock.now - begin < .seconds(20))
    answer.yield(7)
    try await eventually { !patience.isExhausted }
    #expect(try await patience.ask(within: .seconds(30), "Asking") { () async throws(StorageError) -> Int in 9 } == 9)
  }
}
