import PumiceModel
import Synchronization

/// A lock per key: whoever asks first goes first, and a task that is cancelled while it waits goes away.
///
/// It starts no tasks and knows no time. Keys that nobody holds take no memory.
final class KeyedLock<Key: Hashable & Sendable>: Sendable {
  private struct Waiter {
    let ticket: UInt64
    /// Resumed with whether the turn has come.
    let continuation: CheckedContinuation<Bool, Never>
  }

  private struct State {
    /// A key is here while somebody holds it.
    var queues: [Key: [Waiter]] = [:]
    var lastTicket: UInt64 = 0
  }

  private let state = Mutex(State())

  /// Runs `body` while nobody else does so for this key. Throws `unavailable` when cancelled before its turn; once begun,
  /// `body` runs to its end. Not reentrant.
  ///
  /// - Parameter length: Throws `busy` where that many wait already.
  func withLock<Value: Sendable>(
    _ key: Key, queue length: Int = .max, _ body: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    guard waiters(for: key) < length else {
      throw StorageError(
        .busy, "\(length) calls about the same volume wait for their turn; this one has to wait as well.")
    }
    guard await acquire(key) else {
      throw StorageError(
        .unavailable, "The call was cancelled while an earlier one about the same resource was at work.")
    }
    defer { release(key) }
    return try await body()
  }

  var heldKeys: Int { state.withLock { $0.queues.count } }
  func waiters(for key: Key) -> Int { state.withLock { $0.queues[key]?.count ?? 0 } }

  private func acquire(_ key: Key) async -> Bool {
    let ticket = state.withLock { state in
      state.lastTicket += 1
      return state.lastTicket
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let answer: Bool? = state.withLock { state in
          if Task.isCancelled { return false }
          guard state.queues[key] != nil else {
            state.queues[key] = []
            return true
          }
          state.queues[key]?.append(Waiter(ticket: ticket, continuation: continuation))
          return nil
        }
        if let answer { return continuation.resume(returning: answer) }
        // A cancellation since the check above found nothing in the queue.
        if Task.isCancelled { leave(key, ticket) }
      }
    } onCancel: {
      leave(key, ticket)
    }
  }

  private func leave(_ key: Key, _ ticket: UInt64) {
    let waiter: Waiter? = state.withLock { state in
      guard let index = state.queues[key]?.firstIndex(where: { $0.ticket == ticket }) else { return nil }
      return state.queues[key]?.remove(at: index)
    }
    waiter?.continuation.resume(returning: false)
  }

  private func release(_ key: Key) {
    let next: Waiter? = state.withLock { state in
      guard state.queues[key]?.isEmpty == false else {
        state.queues[key] = nil
        return nil
      }
      return state.queues[key]?.removeFirst()
    }
    next?.continuation.resume(returning: true)
  }
}
