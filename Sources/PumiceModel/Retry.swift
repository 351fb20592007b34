/// What is remembered beside a row about work that did not succeed at once.
public struct Retry: Sendable, Equatable, Codable {
  /// How many tries of the present piece of work failed.
  public var attempts = 0
  public var notBefore: Timestamp?
  public var lastError: String?
  /// How far long work has come, from 0 to 1.
  public var progress: Double?

  public init() {}

  /// Notes one more failure; the next try comes after 1, 2, 4 … at most 60 seconds, as `backoff` gives them.
  public mutating func failed(_ error: StorageError, at now: Timestamp) {
    attempts += 1
    lastError = error.message
    notBefore = now + Self.backoff(afterAttempts: attempts)
  }

  /// Notes what the work has to wait for; the wait is no failure.
  public mutating func postponed(_ error: StorageError, at now: Timestamp) {
    lastError = error.message
    notBefore = now + .seconds(1)
  }

  /// Notes how far the work has come; it is gone on with in a moment. What failed before progress was made is forgotten.
  public mutating func progressed(to done: Double, at now: Timestamp) {
    if done > progress ?? -1 {
      attempts = 0
      lastError = nil
    }
    progress = done
    notBefore = now + .milliseconds(200)
  }

  public static func backoff(afterAttempts attempts: Int) -> Duration {
    .seconds(min(60, 1 << min(max(0, attempts - 1), 6)))
  }
}
