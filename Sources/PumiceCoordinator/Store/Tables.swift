public import HashTreeCollections
public import PumiceIdentity
public import PumiceModel

/// Everything the coordinator knows, as a value: a copy costs nothing, and a transaction is a function over it.
///
/// Rows are durable: each write is noted in `changes` for the journal. Observations are what nodes reported last; they
/// are as good as their age and are not stored. Indexes follow from the rows and are made anew at load.
public struct Tables: Sendable {
  public private(set) var volumes: TreeDictionary<VolumeID, Volume> = [:]
  public private(set) var snapshots: TreeDictionary<SnapshotID, Snapshot> = [:]
  public private(set) var attachments: TreeDictionary<AttachmentID, Attachment> = [:]
  public private(set) var residues: TreeDictionary<Residue.Key, Residue> = [:]
  public private(set) var types: TreeDictionary<VolumeTypeID, VolumeType> = [:]
  public private(set) var quotas: TreeDictionary<ProjectID, QuotaSet> = [:]
  public private(set) var nodes: TreeDictionary<NodeName, Node> = [:]
  public private(set) var messages: TreeDictionary<MessageID, UserMessage> = [:]
  /// Of tokens that were given out here, by their audit ids.
  public private(set) var revocations: TreeDictionary<String, Revocation> = [:]
  public private(set) var qosSpecs: TreeDictionary<QoSSpecID, QoSSpec> = [:]
  public private(set) var transfers: TreeDictionary<TransferID, Transfer> = [:]
  public private(set) var defaultTypes: TreeDictionary<ProjectID, DefaultVolumeType> = [:]
  public private(set) var quotaClasses: TreeDictionary<String, QuotaSet> = [:]
  public private(set) var groupTypes: TreeDictionary<GroupTypeID, GroupType> = [:]
  public private(set) var groups: TreeDictionary<GroupID, Group> = [:]
  public private(set) var groupSnapshots: TreeDictionary<GroupSnapshotID, GroupSnapshot> = [:]

  /// The latest report of each node since the coordinator started.
  public var observations: TreeDictionary<NodeName, Observation> = [:]

  /// Index: what the reconciler has to look at.
  public private(set) var pending: TreeSet<WorkKey> = []
  /// Index: the attachments of a volume that hold it.
  private var holders: TreeDictionary<VolumeID, [AttachmentID]> = [:]
  /// Index: the volumes of a project that are not gone, and of a pool.
  private var volumesByProject: TreeDictionary<ProjectID, TreeSet<VolumeID>> = [:]
  /// Indexes: what the volumes of a project, and those on a pool, add to its sums. Every create sums them anew.
  private var claimsByProject: TreeDictionary<ProjectID, TreeDictionary<VolumeID, Claim>> = [:]
  private var claimsByPool: TreeDictionary<PoolName, TreeDictionary<VolumeID, Claim>> = [:]
  /// Indexes: the snapshots of a volume and of a project that are not gone, and what they add to the sums.
  private var snapshotsByVolume: TreeDictionary<VolumeID, TreeSet<SnapshotID>> = [:]
  private var snapshotsByProject: TreeDictionary<ProjectID, TreeSet<SnapshotID>> = [:]
  private var snapshotClaimsByProject: TreeDictionary<ProjectID, TreeDictionary<SnapshotID, Claim>> = [:]
  private var snapshotClaimsByPool: TreeDictionary<PoolName, TreeDictionary<SnapshotID, Claim>> = [:]
  /// Index: the volumes that are being made from a volume or its snapshots, by that volume.
  private var copiesBySource: TreeDictionary<VolumeID, TreeSet<VolumeID>> = [:]
  /// Indexes: the volumes of a group, and the snapshots of a group snapshot, that are not gone.
  private var volumesByGroup: TreeDictionary<GroupID, TreeSet<VolumeID>> = [:]
  private var snapshotsByGroup: TreeDictionary<GroupSnapshotID, TreeSet<SnapshotID>> = [:]
  private var messagesByVolume: TreeDictionary<VolumeID, [MessageID]> = [:]

  private(set) var changes: [Change] = []

  public init() {}

  /// What was written since the last call.
  mutating func takeChanges() -> [Change] {
    defer { changes = [] }
    return changes
  }

  // MARK: Writing

  public mutating func put(_ volume: Volume) {
    let old = volumes.updateValue(volume, forKey: volume.id)
    let isNewInProject = old?.project != volume.project
    if let old, isNewInProject {
      volumesByProject[old.project]?.remove(volume.id)
      claimsByProject[old.project]?[volume.id] = nil
    }
    if volume.state == .deleted {
      volumesByProject[volume.project]?.remove(volume.id)
    } else if isNewInProject {
      volumesByProject[volume.project, default: []].insert(volume.id)
    }
    let claim = Claim(volume)
    claimsByProject[volume.project, default: [:]][volume.id] = volume.state == .deleted ? nil : claim
    if let pool = old?.pool, pool != volume.pool { claimsByPool[pool]?[volume.id] = nil }
    if let pool = volume.pool {
      claimsByPool[pool, default: [:]][volume.id] = volume.occupiesPool ? claim : nil
    }
    if let source = volume.source?.volume {
      if volume.state == .creating {
        copiesBySource[source, default: []].insert(volume.id)
      } else {
        copiesBySource.remove(volume.id, of: source)
      }
    }
    if let group = old?.group, group != volume.group || volume.state == .deleted {
      volumesByGroup.remove(volume.id, of: group)
    }
    if let group = volume.group, volume.state != .deleted { volumesByGroup[group, default: []].insert(volume.id) }
    index(volume)
    changes.append(.put(.volume(volume)))
  }

  public mutating func put(_ snapshot: Snapshot) {
    let old = snapshots.updateValue(snapshot, forKey: snapshot.id)
    if let old, old.project != snapshot.project {
      snapshotsByProject.remove(old.id, of: old.project)
      snapshotClaimsByProject[old.project]?[old.id] = nil
    }
    if snapshot.state == .deleted {
      snapshotsByVolume.remove(snapshot.id, of: snapshot.volume)
      snapshotsByProject.remove(snapshot.id, of: snapshot.project)
      if let group = snapshot.groupSnapshot { snapshotsByGroup.remove(snapshot.id, of: group) }
    } else {
      if let group = snapshot.groupSnapshot { snapshotsByGroup[group, default: []].insert(snapshot.id) }
      snapshotsByVolume[snapshot.volume, default: []].insert(snapshot.id)
      snapshotsByProject[snapshot.project, default: []].insert(snapshot.id)
    }
    let claim = Claim(snapshot)
    snapshotClaimsByProject[snapshot.project, default: [:]][snapshot.id] = snapshot.state == .deleted ? nil : claim
    snapshotClaimsByPool[snapshot.pool, default: [:]][snapshot.id] = snapshot.occupiesPool ? claim : nil
    index(.snapshot(snapshot.id), isPending: snapshot.pendingWork != nil)
    if let volume = volumes[snapshot.volume] { index(volume) }
    changes.append(.put(.snapshot(snapshot)))
  }

  public mutating func put(_ attachment: Attachment) {
    attachments[attachment.id] = attachment
    var holding = holders[attachment.volume] ?? []
    if attachment.holdsVolume {
      if !holding.contains(attachment.id) { holding.append(attachment.id) }
    } else {
      holding.removeAll { $0 == attachment.id }
    }
    holders[attachment.volume] = holding.isEmpty ? nil : holding
    index(.attachment(attachment.id), isPending: attachment.pendingWork != nil)
    changes.append(.put(.attachment(attachment)))
  }

  public mutating func put(_ residue: Residue) {
    residues[residue.key] = residue
    index(.residue(residue.key), isPending: true)
    changes.append(.put(.residue(residue)))
  }

  public mutating func remove(_ residue: Residue) {
    residues[residue.key] = nil
    index(.residue(residue.key), isPending: false)
    changes.append(.remove(Row.residue(residue).key))
  }

  public mutating func put(_ message: UserMessage) {
    messages[message.id] = message
    messagesByVolume[message.volume, default: []].append(message.id)
    changes.append(.put(.message(message)))
  }

  public mutating func remove(_ message: UserMessage) {
    messages[message.id] = nil
    messagesByVolume[message.volume]?.removeAll { $0 == message.id }
    changes.append(.remove(Row.message(message).key))
  }

  public mutating func put(_ snapshot: GroupSnapshot) {
    groupSnapshots[snapshot.id] = snapshot
    index(.groupSnapshot(snapshot.id), isPending: snapshot.isPending)
    changes.append(.put(.groupSnapshot(snapshot)))
  }

  public mutating func remove(_ snapshot: GroupSnapshot) {
    groupSnapshots[snapshot.id] = nil
    index(.groupSnapshot(snapshot.id), isPending: false)
    changes.append(.remove(Row.groupSnapshot(snapshot).key))
  }

  // MARK: Rows that are in no index

  private mutating func set<Key, Value>(
    _ value: Value?, _ key: Key, _ table: WritableKeyPath<Tables, TreeDictionary<Key, Value>>, _ row: Row
  ) {
    self[keyPath: table][key] = value
    changes.append(value == nil ? .remove(row.key) : .put(row))
  }

  public mutating func put(_ quota: QuotaSet) { set(quota, quota.project, \.quotas, .quota(quota)) }
  public mutating func putClass(_ quota: QuotaSet) { set(quota, quota.project, \.quotaClasses, .quotaClass(quota)) }
  public mutating func put(_ node: Node) { set(node, node.name, \.nodes, .node(node)) }
  public mutating func put(_ type: VolumeType) { set(type, type.id, \.types, .volumeType(type)) }
  public mutating func remove(_ type: VolumeType) { set(nil, type.id, \.types, .volumeType(type)) }
  public mutating func put(_ revocation: Revocation) {
    set(revocation, revocation.audit, \.revocations, .revocation(revocation))
  }
  public mutating func remove(_ revocation: Revocation) {
    set(nil, revocation.audit, \.revocations, .revocation(revocation))
  }
  public mutating func put(_ spec: QoSSpec) { set(spec, spec.id, \.qosSpecs, .qosSpec(spec)) }
  public mutating func remove(_ spec: QoSSpec) { set(nil, spec.id, \.qosSpecs, .qosSpec(spec)) }
  public mutating func put(_ transfer: Transfer) { set(transfer, transfer.id, \.transfers, .transfer(transfer)) }
  public mutating func remove(_ transfer: Transfer) { set(nil, transfer.id, \.transfers, .transfer(transfer)) }
  public mutating func put(_ type: DefaultVolumeType) { set(type, type.project, \.defaultTypes, .defaultType(type)) }
  public mutating func remove(_ type: DefaultVolumeType) { set(nil, type.project, \.defaultTypes, .defaultType(type)) }
  public mutating func put(_ type: GroupType) { set(type, type.id, \.groupTypes, .groupType(type)) }
  public mutating func remove(_ type: GroupType) { set(nil, type.id, \.groupTypes, .groupType(type)) }
  public mutating func put(_ group: Group) { set(group, group.id, \.groups, .group(group)) }
  public mutating func remove(_ group: Group) { set(nil, group.id, \.groups, .group(group)) }

  // MARK: Tombstones

  /// Forgets a tombstone. Only for rows so old that no late call about them can be under way.
  public mutating func removeTombstone(_ volume: Volume) {
    precondition(volume.state == .deleted, "Only tombstones are removed.")
    volumes[volume.id] = nil
    changes.append(.remove(Row.volume(volume).key))
  }

  public mutating func removeTombstone(_ snapshot: Snapshot) {
    precondition(snapshot.state == .deleted, "Only tombstones are removed.")
    snapshots[snapshot.id] = nil
    changes.append(.remove(Row.snapshot(snapshot).key))
  }

  public mutating func removeTombstone(_ attachment: Attachment) {
    precondition(!attachment.holdsVolume, "Only tombstones are removed.")
    attachments[attachment.id] = nil
    changes.append(.remove(Row.attachment(attachment).key))
  }

  /// Takes in a stored row, at load.
  mutating func load(_ row: Row) {
    switch row {
    case .volume(let volume): put(volume)
    case .snapshot(let snapshot): put(snapshot)
    case .attachment(let attachment): put(attachment)
    case .residue(let residue): put(residue)
    case .volumeType(let type): put(type)
    case .quota(let quota): put(quota)
    case .node(let node): put(node)
    case .message(let message): put(message)
    case .revocation(let revocation): put(revocation)
    case .qosSpec(let spec): put(spec)
    case .transfer(let transfer): put(transfer)
    case .defaultType(let type): put(type)
    case .quotaClass(let quota): putClass(quota)
    case .groupType(let type): put(type)
    case .group(let group): put(group)
    case .groupSnapshot(let snapshot): put(snapshot)
    }
  }

  /// A volume is erased after its last snapshot: until then there is nothing to do about it.
  private mutating func index(_ volume: Volume) {
    let waits = volume.state == .deleting && snapshotsByVolume[volume.id] != nil
    index(.volume(volume.id), isPending: volume.pendingWork != nil && !waits)
  }

  private mutating func index(_ key: WorkKey, isPending: Bool) {
    if isPending { pending.insert(key) } else { pending.remove(key) }
  }

  // MARK: Reading

  /// The attachments that hold a volume, oldest first.
  public func holders(of volume: VolumeID) -> [Attachment] {
    (holders[volume] ?? []).compactMap { attachments[$0] }
  }

  /// The volumes of a project that are not gone, in no order.
  public func volumes(of project: ProjectID) -> [Volume] {
    (volumesByProject[project] ?? []).compactMap { volumes[$0] }
  }

  /// The identities of the same, for those who keep an index of their own: comparing two of these sets is cheap.
  public func volumeIDs(of project: ProjectID) -> TreeSet<VolumeID> { volumesByProject[project] ?? [] }

  /// What the volumes of a project that are not gone add to its sums.
  func claims(of project: ProjectID) -> TreeDictionary<VolumeID, Claim> { claimsByProject[project] ?? [:] }

  /// What the volumes that have, or may soon have, bytes on a pool add to its sums.
  func claims(on pool: PoolName) -> TreeDictionary<VolumeID, Claim> { claimsByPool[pool] ?? [:] }

  /// The snapshots of a volume that are not gone, in no order.
  public func snapshots(of volume: VolumeID) -> [Snapshot] {
    (snapshotsByVolume[volume] ?? []).compactMap { snapshots[$0] }
  }

  /// The snapshots of a project that are not gone; see `volumeIDs(of:)`.
  public func snapshotIDs(of project: ProjectID) -> TreeSet<SnapshotID> { snapshotsByProject[project] ?? [] }

  /// The volumes that say that they are in a group, in no order.
  func volumeIDs(in group: GroupID) -> TreeSet<VolumeID> { volumesByGroup[group] ?? [] }

  /// The snapshots that say that they are part of a group snapshot, in no order.
  func snapshotIDs(in group: GroupSnapshotID) -> TreeSet<SnapshotID> { snapshotsByGroup[group] ?? [] }

  /// What the snapshots of a project that are not gone add to its sums.
  func snapshotClaims(of project: ProjectID) -> TreeDictionary<SnapshotID, Claim> {
    snapshotClaimsByProject[project] ?? [:]
  }

  /// What the snapshots that have, or may soon have, bytes on a pool add to its sums.
  func snapshotClaims(on pool: PoolName) -> TreeDictionary<SnapshotID, Claim> { snapshotClaimsByPool[pool] ?? [:] }

  /// The volumes that are being made from this one or from a snapshot of it.
  public func copies(of volume: VolumeID) -> [Volume] {
    (copiesBySource[volume] ?? []).compactMap { volumes[$0] }
  }

  public func messages(about volume: VolumeID) -> [UserMessage] {
    (messagesByVolume[volume] ?? []).compactMap { messages[$0] }
  }

  public func type(named name: String) -> VolumeType? {
    types.values.first { $0.name == name }
  }
}

/// A row with work to do.
public enum WorkKey: Hashable, Sendable {
  case volume(VolumeID)
  case snapshot(SnapshotID)
  case attachment(AttachmentID)
  case residue(Residue.Key)
  case groupSnapshot(GroupSnapshotID)
}

/// What a node said last, and when that was by the coordinator's clock.
public struct Observation: Sendable {
  public let report: NodeReport
  public let receivedAt: Timestamp

  public init(report: NodeReport, receivedAt: Timestamp) {
    self.report = report
    self.receivedAt = receivedAt
  }
}

/// The part of a volume's or a snapshot's row that sums are made of. Plain bits: thousands are added up for every create.
struct Claim: Sendable, Equatable {
  let type: VolumeTypeID
  let size: ByteCount
  let promisedSize: ByteCount
  let confirmedAt: Timestamp?

  init(_ volume: Volume) {
    type = volume.type
    size = volume.size
    promisedSize = volume.promisedSize
    confirmedAt = volume.confirmedAt
  }

  init(_ snapshot: Snapshot) {
    type = snapshot.type
    size = snapshot.size
    promisedSize = snapshot.promisedSize
    confirmedAt = snapshot.confirmedAt
  }
}

extension TreeDictionary where Value: SetAlgebra {
  /// Takes a member out of the set of a key; an empty set is not kept.
  fileprivate mutating func remove(_ member: Value.Element, of key: Key) {
    guard var members = self[key] else { return }
    members.remove(member)
    self[key] = members.isEmpty ? nil : members
  }
}
