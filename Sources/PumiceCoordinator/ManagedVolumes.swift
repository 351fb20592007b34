import HashTreeCollections
import PumiceModel

/// Volumes that are on a node and not in the store, or shall be so. Each use case is one transaction.
extension Tables {
  /// Why the store can't take in a volume that a node has; `nil` when it can. Its snapshots, if it has any, can be taken in after
  /// it.
  func obstacle(to stored: Inventory.StoredVolume, on node: NodeName, _ inventory: Inventory) -> String? {
    if residues[Residue.Key(volume: stored.id, pool: PoolName(stored, on: node))] != nil {
      return "It is about to be erased."
    }
    if let row = volumes[stored.id] {
      return row.state == .deleted ? "It was deleted, and is about to be erased." : "It is managed already."
    }
    if inventory.exports.contains(where: { $0.volume == stored.id }) { return "It is exported." }
    if inventory.connections.contains(where: { $0.volume == stored.id }) { return "An instance has it." }
    if stored.isMultiattach == true { return "It was made for several instances." }
    if stored.revision == nil { return "The agent of node \(node) is too old to say what it knows it by." }
    return nil
  }

  /// Takes a volume into the store that a node has, within the project's quota.
  ///
  /// Throws `conflict` where `obstacle` says why not, and where its type does not fit its pool.
  mutating func manage(
    _ stored: Inventory.StoredVolume, on node: NodeName, _ inventory: Inventory, as order: VolumeOrder, bootable: Bool,
    at now: Timestamp
  ) throws(StorageError) -> Volume {
    if let reason = obstacle(to: stored, on: node, inventory) {
      throw StorageError(.conflict, "Volume \(stored.id) can't be managed. \(reason)")
    }
    let type = try volumeType(order.type)
    let pool = PoolName(stored, on: node)
    guard type.isOpen(to: order.project) else {
      throw StorageError(.notFound, "Volume type '\(order.type ?? "")' could not be found.", field: "volume_type")
    }
    let lack = poolState(pool, policy: nil, at: now)?.lack(of: type.extraSpecs)
    guard lack == nil, !type.allowsMultiattach, type.encryption == nil else {
      throw .invalid(
        "volume_type", "'\(type.name)' does not fit: volume \(stored.id) \(lack ?? "was not made as one of it").")
    }
    try usage(of: order.project).check(
      adding: 1, gigabytes: stored.size.gibibytesRoundedUp, volumeSize: stored.size.gibibytesRoundedUp, type: type,
      against: quota(of: order.project))
    var volume = Volume(
      adopting: stored.id, on: pool, availabilityZone: nodes[node]?.availabilityZone ?? "",
      revision: (stored.revision ?? 0) + 1, project: order.project, user: order.user, name: order.name,
      summary: order.summary, metadata: order.metadata, size: stored.size, type: type.id, at: now)
    if bootable { volume.bootable = true }
    put(volume)
    return volume
  }

  /// Takes a volume out of the store that nothing holds, and leaves it on its node as it is.
  mutating func unmanage(_ id: VolumeID, of project: ProjectID?, at now: Timestamp) throws(StorageError) {
    var volume = try volume(id, of: project)
    if let holder = holders(of: id).first {
      throw StorageError(
        .conflict, "\(volume.label) is \(holder.state.rawValue) to \(holder.holder), so it can't be left to itself.")
    }
    guard snapshots(of: id).isEmpty else {
      throw StorageError(
        .inUse, "\(volume.label) has snapshots, so it can't be left to itself: delete them, or leave them, first.")
    }
    try requireUnread(volume, to: "left to itself")
    try requireNoGroup(volume, to: "be left to itself")
    try volume.release(at: now)
    put(volume)
    // No tombstone: by that it would be erased.
    removeTombstone(volume)
  }
}
