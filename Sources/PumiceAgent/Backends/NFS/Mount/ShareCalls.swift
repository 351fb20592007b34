import Glibc
import PumiceModel
import Synchronization

/// Calls on one mounted share, any of which the kernel may hold for as long as the server is away, and nothing can end.
///
/// At most `lanes` of them are under way, on threads of their own. Once one is late, all others are refused, at once and
/// before they begin, until it has come back: a dead server costs a few threads, and others nothing.
final class ShareCalls: Sendable {
  private struct Call {
    let attempt: String
    let begin: ContinuousClock.Instant
    var isLate = false
  }

  private struct State {
    var calls: [UInt64: Call] = [:]
    var lastNumber: UInt64 = 0
  }

  private static let lanes: UInt64 = 4

  private let name: String
  private let threads: BlockingThreads
  private let queue = KeyedLock<UInt64>()
  private let state = Mutex(State())

  init(_ name: String) {
    self.name = name
    threads = BlockingThreads("nfs", count: Int(Self.lanes))
  }

  /// Runs `body`, which blocks. Throws `unavailable`, with nothing done, while an earlier call is late; `timeout` when this
  /// one becomes late: then it may have been done, and may yet be.
  func run<Value: Sendable>(
    within deadline: Duration, _ attempt: String, _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try requireAnswers(attempt)
    let number = state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    return try await queue.withLock(number % Self.lanes) { () async throws(StorageError) in
      // Whoever was before us in the queue may have found out.
      try requireAnswers(attempt)
      state.withLock { $0.calls[number] = Call(attempt: attempt, begin: .now) }
      do throws(StorageError) {
        return try await BlockingCalls.run(within: deadline, on: threads, attempt) { () throws(StorageError) in
          defer { self.state.withLock { $0.calls[number] = nil } }
          return try body()
        }
      } catch {
        // One that has ended meanwhile is in the table no more.
        if error.code == .timeout { state.withLock { $0.calls[number]?.isLate = true } }
        throw error
      }
    }
  }

  /// Closes a file that nobody waits for.
  func leave(_ descriptor: Int32) { threads.submit { close(descriptor) } }

  /// Whether a call is late, and has not come back.
  var isHeld: Bool { state.withLock { $0.calls.values.contains(where: \.isLate) } }

  private func requireAnswers(_ attempt: String) throws(StorageError) {
    guard let late = state.withLock({ $0.calls.values.filter(\.isLate).min { $0.begin < $1.begin } }) else { return }
    let seconds = (ContinuousClock.now - late.begin).components.seconds
    throw StorageError(
      .unavailable,
      "\(attempt) failed: the server of \(name) has not answered for \(seconds) s. It was asked: \(late.attempt).")
  }
}
