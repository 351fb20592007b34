import PumiceModel

/// In which order accounts are bound and unbound, so that tgtd stays alive and its targets closed.
///
/// tgtd 1.0.85 keeps a target's accounts in slots, but looks only at the first n when n are bound. Unbinding any but the last
/// leaves a hole: the accounts behind it can't log in any more, and `show` makes tgtd crash. And a target without accounts
/// asks for no secret at all. So every target has a guard in its first slot, an account whose secret nobody knows, and an
/// account is taken out from the end: those behind it first, then itself, then those behind it are bound again.
enum TGTAccounts {
  static let guardName = "pumice-guard"

  enum Step: Equatable {
    case bind(String)
    case unbind(String)
  }

  /// The steps that take an account out of the slots.
  static func removal(of name: String, from slots: [String]) -> [Step] {
    guard let position = slots.firstIndex(of: name) else { return [] }
    let behind = slots[(position + 1)...]
    return behind.reversed().map { .unbind($0) } + [.unbind(name)] + behind.map { .bind($0) }
  }
}
