import HashTreeCollections
public import PumiceModel

/// What the reconciler writes about leavings. Each is one transaction.
extension Tables {
  /// Sees to it that what may lie there is erased. A node that is lost holds nothing that anybody can reach.
  mutating func leave(_ residue: Residue) {
    if nodes[residue.key.pool.node]?.isLost != true { put(residue) }
  }

  /// The same, where a part is wiped already.
  mutating func leave(_ residue: Residue, wiped: Double, at now: Timestamp) {
    var residue = residue
    residue.retry.progressed(to: wiped, at: now)
    leave(residue)
  }

  /// Wiping goes on; ask again in a moment.
  public mutating func noteProgress(_ asked: Residue, _ done: Double, at now: Timestamp) {
    guard var residue = unchanged(asked) else { return }
    residue.retry.progressed(to: done, at: now)
    put(residue)
  }

  public mutating func noteFailure(_ asked: Residue, _ error: StorageError, at now: Timestamp) {
    guard var residue = unchanged(asked) else { return }
    residue.retry.failed(error, at: now)
    put(residue)
  }

  /// Nothing is there any more.
  public mutating func confirmErased(_ asked: Residue) {
    if let residue = unchanged(asked) { remove(residue) }
  }

  private func unchanged(_ asked: Residue) -> Residue? {
    residues[asked.key].flatMap { $0.revision == asked.revision ? $0 : nil }
  }
}
