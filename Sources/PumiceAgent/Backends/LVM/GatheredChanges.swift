import PumiceModel
import Synchronization

/// Changes of the same kind that wait for their turn, so that one process makes them all: starting LVM and reading the
/// group takes longer than a change.
///
/// Whoever comes first waits for the turn (`nil` from `join`), and then takes those who have come since.
final class GatheredChanges: Sendable {
  typealias Outcome = Result<Void, StorageError>

  struct Follower: Sendable {
    let command: LVMCommand
    /// Resumed with how it went, or with `nil` when it has to wait for the turn itself.
    let continuation: CheckedContinuation<Outcome?, Never>
  }

  /// How many go together: those that come later are not to wait for too long.
  static let limit = 32
  /// A kind is here while somebody waits for its turn.
  private let waiting = Mutex<[LVMCommand.Kind: [Follower]]>([:])

  /// Returns how it went, once it has been done by somebody else, or `nil` for who has to do it.
  func join(_ command: LVMCommand, _ kind: LVMCommand.Kind) async -> Outcome? {
    await withCheckedContinuation { continuation in
      let isFirst = waiting.withLock { waiting in
        guard waiting[kind] != nil else {
          waiting[kind] = []
          return true
        }
        waiting[kind]?.append(Follower(command: command, continuation: continuation))
        return false
      }
      if isFirst { continuation.resume(returning: nil) }
    }
  }

  /// Those who have come since; for who has the turn, once. More than the limit wait for the next one.
  func takeFollowers(_ kind: LVMCommand.Kind) -> [Follower] { leave(kind, taking: Self.limit - 1) }

  /// For who does not get the turn: the next one has to wait for it.
  func giveUp(_ kind: LVMCommand.Kind) { _ = leave(kind, taking: 0) }

  private func leave(_ kind: LVMCommand.Kind, taking count: Int) -> [Follower] {
    let (taken, next) = waiting.withLock { waiting -> ([Follower], Follower?) in
      let all = waiting.removeValue(forKey: kind) ?? []
      guard all.count > count else { return (all, nil) }
      waiting[kind] = Array(all[(count + 1)...])
      return (Array(all[..<count]), all[count])
    }
    next?.continuation.resume(returning: nil)
    return taken
  }
}

extension LVMCommand {
  /// Kinds of which LVM takes several at once, each wholly or not at all, and goes on with the others when one fails
  /// (lvchange(8), lvremove(8)).
  enum Kind: Hashable, Sendable { case activation, deactivation, removal }

  var kind: Kind? {
    switch self {
    case .activate: .activation
    case .deactivate: .deactivation
    case .remove: .removal
    case .createThinPool, .createThin, .createThinSnapshot, .createThick, .createThickSnapshot, .extend,
      .extendPoolMetadata, .rename, .retag, .split, .merge, .finishMerge:
      nil
    }
  }

  /// The arguments of one process for several of a kind: their paths come last.
  static func arguments(_ commands: [LVMCommand], group: String) -> [String] {
    commands[0].arguments(group: group) + commands.dropFirst().compactMap { $0.arguments(group: group).last }
  }

  static func attempt(_ commands: [LVMCommand], group: String) -> String {
    let first = commands[0].attempt(group: group)
    return commands.count == 1 ? first : "\(first), and \(commands.count - 1) more"
  }
}
