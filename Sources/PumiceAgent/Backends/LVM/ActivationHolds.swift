import Synchronization

/// Who needs which logical volume active, as far as this agent knows: it is deactivated when nobody does any more.
final class ActivationHolds: Sendable {
  enum Holder: Hashable, Sendable {
    case export
    /// A copy to a logical volume of this name.
    case copy(LVMName)
  }

  private let holders = Mutex<[String: Set<Holder>]>([:])

  func hold(_ name: String, _ holder: Holder) { holders.withLock { _ = $0[name, default: []].insert(holder) } }

  /// Returns whether nobody holds it now.
  func release(_ name: String, _ holder: Holder) -> Bool {
    holders.withLock { holders in
      holders[name]?.remove(holder)
      if holders[name]?.isEmpty == true { holders[name] = nil }
      return holders[name] == nil
    }
  }

  func isHeld(_ name: String) -> Bool { holders.withLock { $0[name] != nil } }

  func names(heldBy holder: Holder) -> [String] {
    holders.withLock { $0.filter { $0.value.contains(holder) }.map(\.key) }
  }
}
