import PumiceModel
import Synchronization

/// Runs what may hang in the kernel, and gives up waiting for what does.
///
/// Nothing can end such a call. It is left alone, and its device gets no second one until it has come back.
struct StallWatch: Sendable {
  private static let threads = BlockingThreads("block-device", count: 4)
  private let busy = DeviceSet()

  /// Throws `timeout` when `body` has not come back within `limit`, `unavailable` while an earlier one hasn't either.
  func run<Value: Sendable>(
    _ device: String, limit: Duration, _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    guard busy.insert(device) else {
      throw StorageError(.unavailable, "Device \(device) hangs in an earlier call.")
    }
    let answer = Answer<Result<Value, StorageError>>()
    let busy = busy
    let result = await withTaskGroup(of: Void.self) { group in
      Self.threads.submit {
        let result = Result { () throws(StorageError) in try body() }
        busy.remove(device)
        answer.give(result)
      }
      group.addTask {
        // A cancelled task stops waiting as well.
        try? await Task.sleep(for: limit)
        answer.give(nil)
      }
      let result = await answer.wait()
      group.cancelAll()
      return result
    }
    guard let result else {
      throw Task.isCancelled
        ? StorageError(.unavailable, "The call was cancelled while device \(device) was at work.")
        : StorageError(.timeout, "Device \(device) has not moved for \(limit).")
    }
    return try result.get()
  }
}

private final class DeviceSet: Sendable {
  private let paths = Mutex(Set<String>())

  func insert(_ path: String) -> Bool { paths.withLock { $0.insert(path).inserted } }
  func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }
}

/// A value for one task that waits for it; the first given counts, `nil` included.
private final class Answer<Value: Sendable>: Sendable {
  private enum State {
    case open
    case awaited(CheckedContinuation<Value?, Never>)
    case given(Value?)
    case taken
  }

  private let state = Mutex(State.open)

  func give(_ value: Value?) {
    let waiter: CheckedContinuation<Value?, Never>? = state.withLock { state in
      switch state {
      case .open:
        state = .given(value)
        return nil
      case .awaited(let continuation):
        state = .taken
        return continuation
      case .given, .taken: return nil
      }
    }
    waiter?.resume(returning: value)
  }

  func wait() async -> Value? {
    await withCheckedContinuation { continuation in
      let value: Value?? = state.withLock { state in
        if case .given(let value) = state {
          state = .taken
          return .some(value)
        }
        state = .awaited(continuation)
        return nil
      }
      if let value { continuation.resume(returning: value) }
    }
  }
}
