import PumiceModel
import Synchronization

/// What the latest look at each node found, so that a difference that stays is news once.
final class LastFindings: Sendable {
  private let byNode = Mutex<[NodeName: [Finding]]>([:])

  /// Gives those that the look before did not find.
  @discardableResult
  func replace(_ findings: [Finding], of node: NodeName) -> [Finding] {
    let before = byNode.withLock { byNode in
      defer { byNode[node] = findings.isEmpty ? nil : findings }
      return byNode[node] ?? []
    }
    return findings.filter { !before.contains($0) }
  }
}
