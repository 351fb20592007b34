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
