public import HashTreeCollections
public import PumiceModel

/// Everything the coordinator knows, as a value: a copy costs nothing, and a transaction is a function over it.
///
/// Rows are durable: each write is noted in `changes` for the journal. Observations are what nodes reported last; they
/// are as good as their age and are not stored. Indexes follow from the rows and are made anew at load.
public struct Tables: Sendable {
  public private(set) var volumes: TreeDictionary<VolumeID, Volume> = [:]
  public private(set) var attachments: TreeDictionary<AttachmentID, Attachment> = [:]
  public private(set) var residues: TreeDictionary<Residue.Key, Residue> = [:]
  public private(set) var types: TreeDictionary<VolumeTypeID, VolumeType> = [:]
  public private(set) var quotas: TreeDictionary<ProjectID, QuotaSet> = [:]
  public private(set) var nodes: TreeDictionary<NodeName, Node> = [:]
  public private(set) var messages: TreeDictionary<MessageID, UserMessage> = [:]

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
    if volume.state == .deleted {
      volumesByProject[volume.project]?.remove(volume.id)
    } else if old == nil {
      volumesByProject[volume.project, default: []].insert(volume.id)
    }
    let claim = Claim(volume)
    claimsByProject[volume.project, default: [:]][volume.id] = volume.state == .deleted ? nil : claim
    if let pool = old?.pool, pool != volume.pool { claimsByPool[pool]?[volume.id] = nil }
    if let pool = volume.pool {
      claimsByPool[pool, default: [:]][volume.id] = volume.occupiesPool ? claim : nil
    }
    index(.volume(volume.id), isPending: volume.pendingWork != nil)
    changes.append(.put(.volume(volume)))
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

  public mutating func put(_ type: VolumeType) {
    types[type.id] = type
    changes.append(.put(.volumeType(type)))
  }

  public mutating func remove(_ type: VolumeType) {
    types[type.id] = nil
    changes.append(.remove(Row.volumeType(type).key))
  }

  public mutating func put(_ quota: QuotaSet) {
    quotas[quota.project] = quota
    changes.append(.put(.quota(quota)))
  }

  public mutating func put(_ node: Node) {
    nodes[node.name] = node
    changes.append(.put(.node(node)))
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

  /// Forgets a tombstone. Only for rows so old that no late call about them can be under way.
  public mutating func removeTombstone(_ volume: Volume) {
    precondition(volume.state == .deleted, "Only tombstones are removed.")
    volumes[volume.id] = nil
    changes.append(.remove(Row.volume(volume).key))
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
    case .attachment(let attachment): put(attachment)
    case .residue(let residue): put(residue)
    case .volumeType(let type): put(type)
    case .quota(let quota): put(quota)
    case .node(let node): put(node)
    case .message(let message): put(message)
    }
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
  case attachment(AttachmentID)
  case residue(Residue.Key)
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

/// The part of a volume's row that sums are made of. Plain bits: thousands are added up for every create.
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
}
