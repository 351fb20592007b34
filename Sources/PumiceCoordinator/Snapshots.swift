import HashTreeCollections
public import PumiceModel

/// What a user asks for in a new snapshot, checked for form but not yet against the store.
public struct SnapshotOrder: Sendable {
  public var volume: VolumeID
  public var user = ""
  public var name = ""
  public var summary = ""
  public var metadata: [String: String] = [:]
  /// Whether the volume may be attached: what its instance has not written out yet is not in the snapshot then.
  public var mayBeAttached = false
  /// What it is to be part of, and whether that sees to its being taken.
  var groupSnapshot: GroupSnapshotID?
  var isTakenTogether = false

  public init(of volume: VolumeID) { self.volume = volume }
}

/// The use cases of snapshots: each is one transaction.
///
/// What is done to a volume and its snapshots excludes each other where one would change what the other reads:
///
/// | while …                                         | refused is                                               |
/// |-------------------------------------------------|----------------------------------------------------------|
/// | the volume is attaching or detaching            | snapshot, copy, revert, extend, delete                   |
/// | a snapshot is taken of it, or a copy made of it | attach, extend, revert, delete                           |
/// | a volume is made from a snapshot of it          | to delete that snapshot; revert, delete                  |
/// | it is extending or reverting                    | snapshot, copy, attach, revert, extend, delete           |
/// | it is reverting                                 | also: to delete a snapshot of it, or to make volumes of it |
extension Tables {
  /// The snapshot, if it is there and the project's; every other is `notFound`. `nil` stands for every project.
  public func snapshot(_ id: SnapshotID, of project: ProjectID?) throws(StorageError) -> Snapshot {
    guard let snapshot = snapshots[id], snapshot.state != .deleted, project == nil || snapshot.project == project else {
      throw StorageError(.notFound, "Snapshot \(id) could not be found.")
    }
    return snapshot
  }

  /// Checks quota and room, and inserts the snapshot. The node is asked next.
  public mutating func createSnapshot(
    _ order: SnapshotOrder, of project: ProjectID?, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) -> Snapshot {
    let volume = try volume(order.volume, of: project)
    let pool = try readablePool(of: volume, to: "have a snapshot taken")
    try requireThawed(pool, to: "have a snapshot taken", volume.label)
    if let holder = holders(of: volume.id).first, !order.mayBeAttached {
      throw StorageError(
        .conflict,
        "\(volume.label) is attached to \(holder.holder), so a snapshot of it needs force: true.")
    }
    guard let type = types[volume.type] else {
      throw StorageError(.failed, "\(volume.label) has a type that is not there.")
    }
    try usage(of: volume.project).checkSnapshot(
      of: volume.size.gibibytesRoundedUp, type: type, against: quota(of: volume.project))
    if let state = poolState(pool, policy: nil, at: now),
      let reason = PoolCapacity(of: state)?.refusal(of: volume.size, on: state.report)
    {
      throw StorageError(.noSpace, "No snapshot of \(volume.label) can be taken: its pool \(pool) \(reason).")
    }
    let snapshot = Snapshot(
      id: surroundings.newID(), of: volume, on: pool, user: order.user, name: order.name, summary: order.summary,
      metadata: order.metadata, partOf: order.groupSnapshot, isTakenTogether: order.isTakenTogether, createdAt: now)
    put(snapshot)
    return snapshot
  }

  /// Begins to delete a snapshot that nothing is being made from. Harmless when that is under way.
  public mutating func deleteSnapshot(
    _ id: SnapshotID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) {
    var snapshot = try snapshot(id, of: project)
    if snapshot.state == .deleting { return }
    try requireNoGroup(snapshot, to: "be deleted")
    try requireThawed(snapshot.pool, to: "be deleted", snapshot.label)
    try requireUnread(snapshot, to: "deleted")
    if let volume = volumes[snapshot.volume], volume.state == .reverting {
      throw StorageError(.conflict, "\(snapshot.label) can't be deleted while \(volume.label) is reverting.")
    }
    try snapshot.beginDeleting(at: now)
    put(snapshot)
  }

  /// Begins to give a volume that nothing holds the content of its latest snapshot.
  ///
  /// Throws `invalid` for a snapshot that can't be the right one, and `conflict` where only the time is wrong.
  public mutating func revertVolume(
    _ id: VolumeID, of project: ProjectID?, to snapshotID: SnapshotID, at now: Timestamp
  ) throws(StorageError) {
    var volume = try volume(id, of: project)
    let snapshot = try snapshot(snapshotID, of: project)
    guard snapshot.volume == id else {
      throw .invalid("snapshot_id", "'\(snapshotID)' is not a snapshot of \(volume.label).")
    }
    // One that failed has no content, and hides none.
    let later = snapshots(of: id).filter { ($0.createdAt, $0.id) > (snapshot.createdAt, snapshot.id) }
      .filter { $0.state != .error }.max { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
    if let later {
      throw .invalid(
        "snapshot_id", "'\(snapshotID)' is not the latest snapshot of \(volume.label): that is '\(later.id)'.")
    }
    guard volume.size == snapshot.size else {
      throw .invalid(
        "snapshot_id",
        "'\(snapshotID)' has \(snapshot.size), and \(volume.label) \(volume.size): only a volume of the same size can be "
          + "reverted.")
    }
    guard snapshot.state == .available else {
      throw StorageError(
        .conflict, "\(snapshot.label) is \(snapshot.state.rawValue), so \(volume.label) can't be reverted to it.")
    }
    if let holder = holders(of: id).first {
      throw StorageError(
        .conflict,
        "\(volume.label) is \(holder.state.rawValue) to \(holder.holder), so it can't be reverted.")
    }
    if let copy = copies(of: id).first {
      throw StorageError(
        .conflict, "\(volume.label) can't be reverted while volume \(copy.id) is being made from it or its snapshots.")
    }
    try volume.beginReverting(to: snapshotID, at: now)
    put(volume)
  }

  /// Throws `conflict` while a snapshot is taken of the volume, or a copy made: its content must not change then.
  func requireUnread(_ volume: Volume, to verb: String) throws(StorageError) {
    if let snapshot = snapshots(of: volume.id).first(where: { $0.state == .creating }) {
      throw StorageError(
        .conflict, "\(volume.label) can't be \(verb) while snapshot \(snapshot.id) of it is being taken.")
    }
    if let copy = copies(of: volume.id).first(where: { $0.source == .volume(volume.id) }) {
      throw StorageError(.conflict, "\(volume.label) can't be \(verb) while volume \(copy.id) is being made from it.")
    }
  }

  /// Throws `conflict` while a volume is being made from the snapshot.
  func requireUnread(_ snapshot: Snapshot, to verb: String) throws(StorageError) {
    if let copy = copies(of: snapshot.volume).first(where: { $0.source?.snapshot == snapshot.id }) {
      throw StorageError(
        .conflict, "\(snapshot.label) can't be \(verb) while volume \(copy.id) is being made from it.")
    }
  }

  /// The pool of a volume whose content can be read now: it is there, and nobody is about to change how it is used.
  func readablePool(of volume: Volume, to purpose: String) throws(StorageError) -> PoolName {
    guard volume.state == .available, let pool = volume.pool else {
      throw StorageError(.conflict, "\(volume.label) is \(volume.state.rawValue), so it can't \(purpose).")
    }
    if let holder = holders(of: volume.id).first(where: { $0.state != .attached }) {
      throw StorageError(
        .conflict, "\(volume.label) is \(holder.state.rawValue), so it can't \(purpose): wait until that has ended.")
    }
    return pool
  }
}
