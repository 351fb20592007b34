import PumiceModel
import Synchronization

/// A call and who waits for it. It ends once, by its outcome or for want of it.
final class HeldCall<Value: Sendable>: Sendable {
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
