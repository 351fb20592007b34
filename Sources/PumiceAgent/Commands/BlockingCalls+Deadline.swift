import Dispatch
package import PumiceModel
import Synchronization

extension BlockingCalls {
  /// Like `run`, for calls that a dead disk or a dead peer may hold in the kernel, where nothing can end them: after
  /// `deadline` it throws `timeout`, and `body` goes on by itself. Another thread takes the place of the one that hangs.
  ///
  /// The caller has to see to it that it does not send a thread after thread into the same hole. Once begun, a call is not
  /// cancelled.
  package static func run<Value: Sendable>(
    within deadline: Duration, _ attempt: String, _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let call = HeldCall<Value>()
    let outcome = await withCheckedContinuation { continuation in
      call.begin(continuation)
      threads.submit {
        let wasWaitedFor = call.end(Result(catching: body))
        if !wasWaitedFor { threads.dropOne() }
      }
      DispatchQueue.global().asyncAfter(deadline: .now() + deadline / .seconds(1)) {
        let error = StorageError(.timeout, "\(attempt) failed: the kernel has not answered within \(deadline).")
        let isLate = call.end(.failure(error))
        if isLate { threads.addOne() }
      }
    }
    return try outcome.get()
  }
}

/// A call and who waits for it. It ends once, for whichever comes first.
private final class HeldCall<Value: Sendable>: Sendable {
  private let waiter = Mutex<CheckedContinuation<Result<Value, StorageError>, Never>?>(nil)

  func begin(_ continuation: CheckedContinuation<Result<Value, StorageError>, Never>) {
    waiter.withLock { $0 = continuation }
  }

  /// Whether somebody still waited.
  func end(_ outcome: Result<Value, StorageError>) -> Bool {
    let waiter = waiter.withLock { waiter in
      defer { waiter = nil }
      return waiter
    }
    waiter?.resume(returning: outcome)
    return waiter != nil
  }
}
