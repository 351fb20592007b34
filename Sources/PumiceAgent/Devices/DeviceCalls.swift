import Dispatch
import PumiceModel
import Synchronization

/// Runs calls to devices, which the kernel may hold for as long as a target is away: on threads of their own, so that
/// nothing else waits behind them, and with an end to the waiting.
enum DeviceCalls {
  private static let threads = BlockingThreads("device", count: 32)

  /// Runs `body` on such a thread. Throws `timeout` when it has not ended in time: it then runs on until the kernel lets it
  /// go, or never starts if it has not yet.
  static func run<Value: Sendable>(
    within limit: Duration, _ attempt: String, _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let outcome = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, StorageError>, Never>) in
      let answer = Answer(continuation)
      threads.submit { if answer.isAwaited { answer.give(Result(catching: body)) } }
      DispatchQueue.global().asyncAfter(deadline: .now() + limit.interval) {
        answer.give(.failure(StorageError(.timeout, "\(attempt) did not end within \(limit).")))
      }
    }
    return try outcome.get()
  }

  /// Passes the first answer on.
  private final class Answer<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Result<Value, StorageError>, Never>?>

    init(_ continuation: CheckedContinuation<Result<Value, StorageError>, Never>) {
      self.continuation = Mutex(continuation)
    }

    var isAwaited: Bool { continuation.withLock { $0 != nil } }

    func give(_ result: Result<Value, StorageError>) {
      continuation.withLock { $0.take() }?.resume(returning: result)
    }
  }
}

extension Duration {
  fileprivate var interval: DispatchTimeInterval {
    .milliseconds(Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000))
  }
}
