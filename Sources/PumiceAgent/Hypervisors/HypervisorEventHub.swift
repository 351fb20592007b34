import PumiceModel
import Synchronization

/// Hands every event to everybody who listens. A listener that lags behind loses the oldest.
final class HypervisorEventHub: Sendable {
  private struct State {
    var next = 0
    var listeners: [Int: AsyncStream<HypervisorEvent>.Continuation] = [:]
  }

  private let state = Mutex(State())

  deinit {
    for listener in state.withLock({ Array($0.listeners.values) }) { listener.finish() }
  }

  func events() -> AsyncStream<HypervisorEvent> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: HypervisorEvent.self, bufferingPolicy: .bufferingNewest(1024))
    let id = state.withLock { state in
      state.next += 1
      state.listeners[state.next] = continuation
      return state.next
    }
    continuation.onTermination = { [weak self] _ in
      _ = self?.state.withLock { $0.listeners.removeValue(forKey: id) }
    }
    return stream
  }

  func send(_ event: HypervisorEvent) {
    for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield(event) }
  }
}
