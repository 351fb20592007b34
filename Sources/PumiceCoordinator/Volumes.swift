import HashTreeCollections
public import PumiceModel

/// What a user asks for in a new volume, checked for form but not yet against the store.
public struct VolumeOrder: Sendable {
  public var project: ProjectID
  public var user = ""
  public var name = ""
  public var summary = ""
  public var metadata: [String: String] = [:]
  /// At least the source's; that one if `nil`.
  public var size: ByteCount?
  /// A type's name or id; if `nil`, the source's or the default type.
  public var type: String?
  /// What its first bytes are a copy of; zeros if `nil`.
  public var source: Source?
  public var availabilityZone: String?
  /// The group that it is to be in.
  var group: GroupID?
  public var hints: PlacementHints?
  public var requestID: String?

  public enum Source: Sendable, Equatable {
    case snapshot(SnapshotID)
    case volume(VolumeID)
  }

  public init(project: ProjectID, size: ByteCount?) {
    self.project = project
    self.size = size
  }
}

/// The use cases of volumes: each is one transaction.
extension Tables {
  /// The volume, if it is there and the project's; every other is `notFound`. `nil` stands for every project.
  public func volume(_ id: VolumeID, of project: ProjectID?) throws(StorageError) -> Volume {
    guard let volume = volumes[id], volume.state != .deleted, project == nil || volume.project == project else {
      throw StorageError(.notFound, "Volume \(id) could not be found.")
    }
    return volume
  }

  /// Checks source and quota, inserts the volume and places it. A volume that fits nowhere is inserted as `error`, with a
  /// message.
  public mutating func createVolume(
    _ order: VolumeOrder, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) -> Volume {
    if let zone = order.availabilityZone, !availabilityZones().contains(zone) {
      throw .invalid("availability_zone", "'\(zone)' is unknown: no node belongs to it.")
    }
    let original = try original(for: order)
    let type = try type(of: order, like: original, at: now)
    try type.requireUnencrypted()
    if let id = order.group { try requireType(type.id, in: try group(id, of: order.project)) }
    guard let size = order.size ?? original?.size else { throw .invalid("size", "is required.") }
    try original?.check(size)
    try checkQuota(of: order.project, adding: 1, growingBy: size, to: size, type: type)
    var volume = Volume(
      id: surroundings.newID(), project: order.project, user: order.user, name: order.name, summary: order.summary,
      metadata: order.metadata, size: size, type: type.id, isMultiattach: type.allowsMultiattach,
      source: original?.source, availabilityZone: order.availabilityZone, hints: order.hints, createdAt: now)
    volume.group = order.group
    put(volume)
    try place(volume, policy: policy, requestID: order.requestID, at: now, in: surroundings)
    volume = volumes[volume.id] ?? volume
    return volume
  }

  /// Grows a volume that is available or attached, within the quota.
  public mutating func extendVolume(
    _ id: VolumeID, of project: ProjectID?, to size: ByteCount, at now: Timestamp
  ) throws(StorageError) {
    var volume = try volume(id, of: project)
    guard let type = types[volume.type] else {
      throw StorageError(.failed, "\(volume.label) has a type that is not there.")
    }
    if let holder = holders(of: id).first(where: { $0.state != .attached }) {
      throw StorageError(
        .conflict, "\(volume.label) is \(holder.state.rawValue), so it can't be extended: wait until that has ended.")
    }
    try requireUnread(volume, to: "extended")
    let oldSize = volume.promisedSize
    try volume.beginExtending(to: size, at: now)
    try checkQuota(of: volume.project, adding: 0, growingBy: size - oldSize, to: size, type: type)
    // What the pool's own figures rule out is refused at once, with the reason; the agent has the last word.
    if let pool = volume.pool, let state = poolState(pool, policy: nil, at: now),
      let reason = PoolCapacity(of: state)?.refusal(of: size - oldSize, on: state.report)
    {
      throw StorageError(.noSpace, "\(volume.label) can't grow by \(size - oldSize) on pool \(pool): \(reason)")
    }
    put(volume)
  }

  /// Begins to delete a volume that nothing holds or is made from.
  ///
  /// - Parameter cascades: Whether its snapshots go with it, before it. Without that, it is refused while it has any.
  public mutating func deleteVolume(
    _ id: VolumeID, of project: ProjectID?, cascades: Bool = false, at now: Timestamp
  ) throws(StorageError) {
    var volume = try volume(id, of: project)
    if volume.state == .deleting { return }
    try requireNoGroup(volume, to: "be deleted")
    try requireThawed(volume.pool, to: "be deleted", volume.label)
    if let holder = holders(of: id).first {
      throw StorageError(
        .conflict, "\(volume.label) is \(holder.state.rawValue) to \(holder.holder), so it can't be deleted."
      )
    }
    let snapshots = snapshots(of: id)
    guard snapshots.isEmpty || cascades else {
      throw StorageError(
        .inUse,
        "\(volume.label) has \(snapshots.count) snapshot\(snapshots.count == 1 ? "" : "s"), so it can't be deleted: delete "
          + "them first, or all together with cascade.")
    }
    for snapshot in snapshots { try requireNoGroup(snapshot, to: "be deleted") }
    if let other = snapshots.first(where: { $0.project != volume.project }), project != nil {
      throw StorageError(
        .inUse,
        "\(volume.label) has snapshot \(other.id), which stayed with the project that it came from; it can't be deleted "
          + "before that.")
    }
    if let copy = copies(of: id).first {
      throw StorageError(
        .conflict, "\(volume.label) can't be deleted while volume \(copy.id) is being made from it or its snapshots.")
    }
    try volume.beginDeleting(at: now)
    for var snapshot in snapshots where snapshot.state != .deleting {
      try snapshot.beginDeleting(at: now)
      put(snapshot)
    }
    put(volume)
  }

  /// The type by name or id, or the default one.
  public func volumeType(_ nameOrID: String?) throws(StorageError) -> VolumeType {
    let name = nameOrID ?? VolumeType.defaultName
    if let type = type(named: name) ?? VolumeTypeID(name).flatMap({ types[$0] }) { return type }
    throw StorageError(.notFound, "Volume type '\(name)' could not be found.", field: "volume_type")
  }

  /// What the project may have: its own limits, and the default class's where it has none.
  public func quota(of project: ProjectID) -> QuotaSet {
    let own = quotas[project] ?? QuotaSet(project: project)
    guard let defaults = quotaClasses[QuotaSet.defaultClass] else { return own }
    return QuotaSet(project: project, limits: defaults.limits.merging(own.limits) { _, own in own })
  }

  public func usage(of project: ProjectID) -> QuotaUsage {
    var usage = QuotaUsage()
    usage.groups = groups.values.count { $0.project == project }
    for claim in claims(of: project).values { usage.count(claim.promisedSize, of: claim.type) }
    for claim in snapshotClaims(of: project).values { usage.countSnapshot(claim.promisedSize, of: claim.type) }
    return usage
  }

  private func checkQuota(
    of project: ProjectID, adding volumes: Int, growingBy growth: ByteCount, to size: ByteCount, type: VolumeType
  ) throws(StorageError) {
    try usage(of: project).check(
      adding: volumes, gigabytes: growth.gibibytesRoundedUp, volumeSize: size.gibibytesRoundedUp, type: type,
      against: quota(of: project))
  }
}
