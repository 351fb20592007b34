import HashTreeCollections
public import PumiceModel

/// The use cases of group snapshots, and what the reconciler writes about them. Each is one transaction.
extension Tables {
  /// The group snapshot, if it is there and the project's; `nil` stands for every project.
  func groupSnapshot(_ id: GroupSnapshotID, of project: ProjectID?) throws(StorageError) -> GroupSnapshot {
    guard let snapshot = groupSnapshots[id], project == nil || snapshot.project == project else {
      throw StorageError(.notFound, "Group snapshot \(id) could not be found.")
    }
    return snapshot
  }

  /// What it consists of.
  public func snapshots(in id: GroupSnapshotID) -> [Snapshot] {
    guard groupSnapshots[id] != nil else { return [] }
    return snapshotIDs(in: id).compactMap { snapshots[$0] }
  }

  /// Has a snapshot taken of every volume of the group.
  ///
  /// Where the group's type says so, they are of one moment: volumes that nobody writes to stay as they are until all are taken,
  /// since attaching waits for that; those of one instance are taken while it holds still. Throws `unsupported` where there is
  /// no such moment.
  public mutating func createGroupSnapshot(
    of id: GroupID, of project: ProjectID?, user: String, name: String, summary: String, policy: Policy,
    at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) -> GroupSnapshot {
    let group = try group(id, of: project)
    let members = volumes(in: group)
    guard !members.isEmpty else {
      throw StorageError(.conflict, "\(group.label) has no volumes, so there is nothing to take a snapshot of.")
    }
    let holders = members.flatMap { self.holders(of: $0.id) }
    let isTogether = groupTypes[group.type]?.isConsistent == true && !holders.isEmpty
    if isTogether { try requireOneMoment(of: group, holders, policy) }
    let snapshot = GroupSnapshot(
      id: surroundings.newID(), of: group, user: user, name: name, summary: summary, isTakenTogether: isTogether,
      createdAt: now)
    put(snapshot)
    for volume in members {
      var order = SnapshotOrder(of: volume.id)
      order.user = user
      order.name = name
      order.summary = summary
      order.mayBeAttached = true
      order.groupSnapshot = snapshot.id
      order.isTakenTogether = isTogether
      _ = try createSnapshot(order, of: project, at: now, in: surroundings)
    }
    return snapshot
  }

  private func requireOneMoment(
    of group: Group, _ holders: [Attachment], _ policy: Policy
  ) throws(StorageError) {
    if let client = holders.first(where: { $0.place == nil }) {
      throw StorageError(
        .unsupported,
        "The volumes of \(group.label) are attached to \(client.holder), which can't be asked to hold still: there is no "
          + "snapshot of one moment.")
    }
    let instances = Set(holders.compactMap(\.place?.instance))
    guard instances.count == 1 else {
      throw StorageError(
        .unsupported,
        "The volumes of \(group.label) are attached to \(instances.count) instances, which hold still one by one only: there "
          + "is no snapshot of one moment.")
    }
    guard policy.quiesceTimeout > .zero else {
      throw StorageError(
        .unsupported,
        "The volumes of \(group.label) are attached, and guests are not asked to hold still here: there is no snapshot of one "
          + "moment.")
    }
  }

  /// Takes the group snapshot away and begins to delete what it consists of.
  public mutating func deleteGroupSnapshot(
    _ id: GroupSnapshotID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) {
    let group = try groupSnapshot(id, of: project)
    let members = snapshots(in: id)
    remove(group)
    for snapshot in members { try deleteSnapshot(snapshot.id, of: project, at: now) }
  }

  /// Throws `inUse` for a snapshot that is part of a group snapshot: what becomes of it is that one's to say.
  func requireNoGroup(_ snapshot: Snapshot, to verb: String) throws(StorageError) {
    guard let group = snapshot.groupSnapshot.flatMap({ groupSnapshots[$0] }) else { return }
    throw StorageError(.inUse, "\(snapshot.label) is part of \(group.label), so it can't \(verb) alone.")
  }

  // MARK: What the reconciler writes

  /// The guest is asked next, and then the nodes.
  mutating func begin(_ asked: GroupSnapshot) throws(StorageError) {
    guard var group = groupSnapshots[asked.id] else { return }
    try group.begin()
    put(group)
    for var snapshot in snapshots(in: asked.id) where !holders(of: snapshot.volume).isEmpty {
      try snapshot.noteUse()
      put(snapshot)
    }
  }

  /// All were taken while the guest held still.
  mutating func confirm(_ asked: GroupSnapshot, at now: Timestamp) throws(StorageError) {
    guard var group = groupSnapshots[asked.id], group.isPending else { return }
    try group.finish()
    put(group)
    for var snapshot in snapshots(in: asked.id) {
      try snapshot.confirm(quiesced: true, at: now)
      put(snapshot)
    }
  }

  /// They are not of one moment, or not all there: none of them is kept.
  mutating func noteFailure(
    _ asked: GroupSnapshot, _ error: StorageError, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var group = groupSnapshots[asked.id], group.isPending else { return }
    try group.fail(error.message)
    put(group)
    for snapshot in snapshots(in: asked.id) { try fail(snapshot, error, at: now, in: surroundings) }
  }
}
