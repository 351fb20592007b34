import PumiceModel
import Synchronization

/// How long one waits for a share where others must not wait with it: the node's report, above all, without which the
/// coordinator takes all of the node for dead.
///
/// A server that is given minutes for an answer is given them by whoever works on its share, and by nobody else.
final class SharePatience: Sendable {
  private let late = Mutex(0)
  private let share: String

  init(_ share: String) { self.share = share }

  /// Whether something that was asked is without an answer for longer than it was waited for.
  var isExhausted: Bool { late.withLock { $0 > 0 } }

  /// Throws `unavailable` while an earlier question is late.
  func requireAnswers(_ attempt: String) throws(StorageError) {
    guard isExhausted else { return }
    throw StorageError(.unavailable, "\(attempt) failed: \(share) has not yet answered what was asked before.")
  }

  /// Asks, and throws `unavailable` when there is no answer within `limit`, or at once while an earlier question is late.
  /// `body` then goes on by itself until it ends, as all that is asked of a share does by a deadline.
  func ask<Value: Sendable>(
    within limit: Duration, _ attempt: String, _ body: @escaping @Sendable () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try requireAnswers(attempt)
    let question = HeldCall<Value>()
    let outcome = await withCheckedContinuation { continuation in
      question.begin(continuation)
      // No child tasks: they would have to be waited for, which is what nobody is to do.
      let timer = Task {
        try await Task.sleep(for: limit)
        let error = StorageError(.unavailable, "\(attempt) failed: \(share) has not answered for \(limit).")
        if question.end(.failure(error)) { late.withLock { $0 += 1 } }
      }
      Task {
        let outcome: Result<Value, StorageError>
        do throws(StorageError) {
          outcome = .success(try await body())
        } catch {
          outcome = .failure(error)
        }
        timer.cancel()
        if !question.end(outcome) { late.withLock { $0 -= 1 } }
      }
    }
    return try outcome.get()
  }
}
