import Foundation
import Glibc
package import PumiceModel
import Synchronization

extension BlockingCalls {
  private static let deadlines = Deadlines()

  /// Like `run`, for calls that a dead disk or a dead peer may hold in the kernel, where nothing can end them: some
  /// milliseconds after `deadline` it throws `timeout`, and `body` goes on by itself. Another thread takes the place of the
  /// one that hangs.
  ///
  /// The caller has to see to it that it does not send thread after thread into the same hole. Once begun, a call is not
  /// cancelled.
  package static func run<Value: Sendable>(
    within deadline: Duration, _ attempt: String, _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await run(within: deadline, on: threads, attempt, body)
  }

  static func run<Value: Sendable>(
    within deadline: Duration, on threads: BlockingThreads, _ attempt: String,
    _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let call = HeldCall<Value>()
    let outcome = await withCheckedContinuation { continuation in
      call.begin(continuation)
      let number = deadlines.add(deadline) {
        let error = StorageError(.timeout, "\(attempt) failed: the kernel has not answered within \(deadline).")
        let isLate = call.end(.failure(error))
        if isLate { threads.addOne() }
      }
      threads.submit {
        let wasWaitedFor = call.end(Result(catching: body))
        deadlines.remove(number)
        if !wasWaitedFor { threads.dropOne() }
      }
    }
    return try outcome.get()
  }
}

/// What is to be given up, and when. One thread looks while there is any: a timer for each would cost more than most calls.
private final class Deadlines: Sendable {
  private struct Entry {
    let end: ContinuousClock.Instant
    let giveUp: @Sendable () -> Void
  }

  private struct State {
    var entries: [UInt64: Entry] = [:]
    var lastNumber: UInt64 = 0
    var isWatched = false
  }

  private let state = Mutex(State())

  func add(_ deadline: Duration, _ giveUp: @escaping @Sendable () -> Void) -> UInt64 {
    let (number, isWatched) = state.withLock { state in
      state.lastNumber += 1
      state.entries[state.lastNumber] = Entry(end: .now + deadline, giveUp: giveUp)
      defer { state.isWatched = true }
      return (state.lastNumber, state.isWatched)
    }
    if !isWatched {
      let thread = Thread { self.watch() }
      thread.name = "deadlines"
      thread.start()
    }
    return number
  }

  func remove(_ number: UInt64) { state.withLock { $0.entries[number] = nil } }

  /// Until it finds nothing to watch.
  private func watch() {
    while true {
      usleep(20_000)
      let late: [Entry]? = state.withLock { state in
        guard !state.entries.isEmpty else {
          state.isWatched = false
          return nil
        }
        let now = ContinuousClock.now
        let late = state.entries.filter { $0.value.end <= now }
        for number in late.keys { state.entries[number] = nil }
        return Array(late.values)
      }
      guard let late else { return }
      for entry in late { entry.giveUp() }
    }
  }
}
