import HashTreeCollections
public import PumiceModel

/// What the reconciler writes about snapshots: the outcome of each call. Each is one transaction.
extension Tables {
  /// An instance has the volume, and the node is asked next; see `Snapshot.noteUse()`.
  public mutating func noteUse(_ asked: Snapshot) throws(StorageError) {
    guard var snapshot = unchanged(asked) else { return }
    try snapshot.noteUse()
    put(snapshot)
  }

  /// The pool has the snapshot.
  public mutating func confirm(
    _ asked: Snapshot, quiesced: Bool = false, because reason: String? = nil, at now: Timestamp
  ) throws(StorageError) {
    guard var snapshot = unchanged(asked) else { return }
    try snapshot.confirm(quiesced: quiesced, because: reason, at: now)
    put(snapshot)
  }

  /// Taking it goes on; ask again in a moment.
  public mutating func noteProgress(_ asked: Snapshot, _ done: Double, at now: Timestamp) {
    guard var snapshot = unchanged(asked) else { return }
    snapshot.retry.progressed(to: done, at: now)
    put(snapshot)
  }

  /// It could not be taken: again later, or, after a permanent error or too many tries, given up with a message.
  public mutating func noteTakeFailure(
    _ asked: Snapshot, _ error: StorageError, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var snapshot = unchanged(asked) else { return }
    if isOnlyToWait(after: error, on: [snapshot.pool.node], policy: policy, at: now) {
      snapshot.retry.postponed(error, at: now)
      return put(snapshot)
    }
    snapshot.retry.failed(error, at: now)
    let isHopeless = !error.isTransient || snapshot.retry.attempts >= policy.maxCopyAttempts
    guard isHopeless || nodes[snapshot.pool.node]?.isLost == true else { return put(snapshot) }
    try fail(snapshot, error, at: now, in: surroundings)
  }

  /// Ends it without a snapshot: what may be there of it goes, and its user is told.
  mutating func fail(
    _ asked: Snapshot, _ error: StorageError, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    var snapshot = asked
    try snapshot.fail(error.message, at: now)
    put(snapshot)
    leave(Residue(of: snapshot, on: snapshot.pool))
    put(
      UserMessage(
        id: surroundings.newID(), project: snapshot.project, volume: snapshot.volume, snapshot: snapshot.id,
        action: .takeSnapshot, text: error.message, createdAt: now))
  }

  /// An erase failed: it is tried again for as long as it takes.
  public mutating func noteEraseFailure(_ asked: Snapshot, _ error: StorageError, at now: Timestamp) {
    guard var snapshot = unchanged(asked) else { return }
    snapshot.retry.failed(error, at: now)
    put(snapshot)
  }

  /// The pool has the snapshot no more. Name and quota are free; bytes that are left to wipe are seen to by a residue.
  public mutating func confirmErased(_ asked: Snapshot, wiped: Double, at now: Timestamp) throws(StorageError) {
    guard var snapshot = unchanged(asked) else { return }
    try snapshot.finishDeleting(at: now)
    put(snapshot)
    let residue = Residue(of: snapshot, on: snapshot.pool)
    if wiped < 1 {
      leave(residue, wiped: wiped, at: now)
    } else if let older = residues[residue.key] {
      // From when it could not be taken: its calls are stale by now, and what they were to erase is gone.
      remove(older)
    }
  }

  /// The row, unless something else has changed it since the call went out: then the outcome is of no interest.
  private func unchanged(_ asked: Snapshot) -> Snapshot? {
    snapshots[asked.id].flatMap { $0.revision == asked.revision ? $0 : nil }
  }
}
