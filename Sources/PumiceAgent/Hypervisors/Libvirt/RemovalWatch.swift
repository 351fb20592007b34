import PumiceModel
import Synchronization

/// Tells those who wait for a disk's removal how it went.
final class RemovalWatch: Sendable {
  enum Outcome: Sendable {
    case removed
    /// The guest said no.
    case refused
  }

  private struct State {
    var next = 0
    var waiters: [Int: (attachment: AttachmentID, outcomes: AsyncStream<Outcome>.Continuation)] = [:]
  }

  private let state = Mutex(State())

  /// What happens to the attachment's disk from now on, so that nothing is missed between asking and waiting. Ending
  /// the iteration ends the watch.
  func outcomes(of attachment: AttachmentID) -> AsyncStream<Outcome> {
    let (stream, continuation) = AsyncStream.makeStream(of: Outcome.self, bufferingPolicy: .bufferingNewest(4))
    let id = state.withLock { state in
      state.next += 1
      state.waiters[state.next] = (attachment, continuation)
      return state.next
    }
    continuation.onTermination = { [weak self] _ in
      _ = self?.state.withLock { $0.waiters.removeValue(forKey: id) }
    }
    return stream
  }

  func note(_ outcome: Outcome, _ attachment: AttachmentID) {
    let waiters = state.withLock { $0.waiters.values.filter { $0.attachment == attachment } }
    for waiter in waiters { waiter.outcomes.yield(outcome) }
  }
}
