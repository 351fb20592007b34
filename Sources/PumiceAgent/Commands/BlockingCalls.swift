package import PumiceModel

/// Runs calls that block (file system, management sockets, libiscsi) on threads of their own, away from Swift's shared ones.
///
/// The threads live as long as the process. A call that hangs in the kernel takes one of them; the others go on.
package enum BlockingCalls {
  static let threads = BlockingThreads("blocking", count: 8)
  private static let threadsForLong = BlockingThreads("blocking-long", count: 4)

  /// Runs `body` on such a thread, in order of arrival. A task that is cancelled before throws `unavailable`; `body` itself
  /// runs to its end.
  package static func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await run(on: threads, body)
  }

  /// The same for what takes seconds, such as a part of a copy: a few at a time, and never before shorter calls.
  package static func runLong<Value: Sendable>(
    _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await run(on: threadsForLong, body)
  }

  private static func run<Value: Sendable>(
    on threads: BlockingThreads, _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    if Task.isCancelled { throw StorageError(.unavailable, "The call was cancelled before it began.") }
    let outcome = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, StorageError>, Never>) in
      threads.submit { continuation.resume(returning: Result(catching: body)) }
    }
    return try outcome.get()
  }
}
