import HashTreeCollections
import PumiceModel

/// Snapshots that are on a node and not in the store, or shall be so. Each use case is one transaction.
extension Tables {
  /// Why the store can't take in a snapshot that a node has; `nil` when it can.
  func obstacle(to stored: Inventory.StoredSnapshot, on node: NodeName) -> String? {
    let pool = PoolName(stored, on: node)
    if residues[Residue.Key(volume: stored.volume, snapshot: stored.id, pool: pool)] != nil {
      return "It is about to be erased."
    }
    switch snapshots[stored.id]?.state {
    case .creating: return "It is being taken."
    case .available: return "It is managed already."
    case .deleting: return "It is being deleted."
    case .error, .deleted: return "It was deleted, and is about to be erased."
    case nil: break
    }
    guard let volume = volumes[stored.volume], volume.state != .deleted else {
      return "Its volume \(stored.volume) is not managed."
    }
    guard volume.pool == pool else { return "\(volume.label), of which it is, is not on \(pool)." }
    guard volume.state == .available else { return "\(volume.label), of which it is, is \(volume.state.rawValue)." }
    if stored.revision == nil { return "The agent of node \(node) is too old to say what it knows it by." }
    return nil
  }

  /// Takes a snapshot into the store that a node has, within the quota of its volume's project.
  ///
  /// From then on it counts as its volume's latest, since nobody knows when it was taken. Throws `conflict` where `obstacle` says
  /// why not.
  mutating func manageSnapshot(
    _ stored: Inventory.StoredSnapshot, on node: NodeName, as order: SnapshotOrder, at now: Timestamp
  ) throws(StorageError) -> Snapshot {
    if let reason = obstacle(to: stored, on: node) {
      throw StorageError(.conflict, "Snapshot \(stored.id) can't be managed. \(reason)")
    }
    let volume = try volume(order.volume, of: nil)
    guard let type = types[volume.type] else {
      throw StorageError(.failed, "\(volume.label) has a type that is not there.")
    }
    try usage(of: volume.project).checkSnapshot(
      of: stored.size.gibibytesRoundedUp, type: type, against: quota(of: volume.project))
    let snapshot = Snapshot(
      adopting: stored.id, of: volume, on: PoolName(stored, on: node), revision: (stored.revision ?? 0) + 1,
      user: order.user, name: order.name, summary: order.summary, metadata: order.metadata, size: stored.size, at: now)
    put(snapshot)
    return snapshot
  }

  /// Takes a snapshot out of the store that nothing reads, and leaves it on its node as it is. Its volume can't be erased there
  /// as long as it has it.
  mutating func unmanageSnapshot(
    _ id: SnapshotID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) {
    var snapshot = try snapshot(id, of: project)
    try requireNoGroup(snapshot, to: "be left to itself")
    try requireUnread(snapshot, to: "left to itself")
    if let volume = volumes[snapshot.volume], volume.state == .reverting {
      throw StorageError(.conflict, "\(snapshot.label) can't be left to itself while \(volume.label) is reverting.")
    }
    try snapshot.release(at: now)
    put(snapshot)
    // No tombstone: by that it would be erased.
    removeTombstone(snapshot)
  }
}
