import PumiceModel
import Synchronization

/// Lets so many in at once, and turns away the rest, who would wait past their callers' patience.
final class Turnstile: Sendable {
  private let limit: Int
  private let inside = Mutex(0)

  init(limit: Int) { self.limit = limit }

  /// Throws `busy`, with nothing done, when it is full.
  func pass<Value: Sendable>(
    _ body: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let isIn = inside.withLock { count in
      guard count < limit else { return false }
      count += 1
      return true
    }
    guard isIn else { throw StorageError(.busy, "\(limit) others are at work or wait for it; ask again in a moment.") }
    defer { inside.withLock { $0 -= 1 } }
    return try await body()
  }
}
