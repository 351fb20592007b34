import Synchronization

/// Lets in as many slow changes of a volume group as get done, one after the other, while their callers wait.
///
/// The others are told to ask again, which keeps them from giving up something that is only waiting its turn.
final class ChangeAdmission: Sendable {
  private struct State {
    var inside = 0
    /// How long a change takes here, as far as is known.
    var typical = Duration.milliseconds(300)
  }

  /// How long those let in may take together: callers wait for half a minute, in which other changes come to pass too.
  private let room: Duration
  private let state = Mutex(State())

  init(room: Duration = .seconds(12)) { self.room = room }

  /// Whether there is room; whoever is let in has to `leave`.
  func enter() -> Bool {
    state.withLock { state in
      guard state.inside == 0 || state.typical * (state.inside + 1) <= room else { return false }
      state.inside += 1
      return true
    }
  }

  func leave() { state.withLock { $0.inside -= 1 } }

  func note(_ duration: Duration) {
    state.withLock { $0.typical = $0.typical * 0.8 + duration * 0.2 }
  }
}
