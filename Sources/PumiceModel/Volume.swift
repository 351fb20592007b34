/// A virtual disk: one row, one state, and what follows from it.
///
///                   reverting     awaitingTransfer
///                       ▲          ▲
///                       ▼          ▼
///     creating ──▶ available ◀──▶ extending ──▶ errorExtending
///        │            │ ▲                            │ (extend again, reset)
///        ▼            ▼ │ (can't be)                 ▼
///      error ─────▶ deleting ──▶ deleted (tombstone)
///
/// Whether it is attached is not a state of the volume: its attachments say so.
public struct Volume: Sendable, Equatable, Codable {
  public enum State: String, Sendable, Codable, CaseIterable {
    /// Asked for; ends as `available` or, with a reason, as `error`.
    case creating
    /// There, with its size; attachable.
    case available
    /// There, growing to `targetSize`; ends as `available` or `errorExtending`.
    case extending
    /// There with its old size; the last extend failed for good. Extend again, reset or delete it.
    case errorExtending
    /// There, getting back the content of a snapshot; ends as `available`, with the snapshot's content or, with a message,
    /// with the content that it had: never with a mixture.
    case reverting
    /// There, and offered to another project; ends as `available`, theirs or still ours. Nothing else happens to it meanwhile.
    case awaitingTransfer = "awaiting-transfer"
    /// Could not be made; has no bytes anywhere that anybody needs. Delete it.
    case error
    /// Going; ends as `deleted`, retried for as long as the node takes; or, with a message, as `available`, where its node has
    /// something of it that nobody has asked to be deleted.
    case deleting
    /// Gone. The row stays as a tombstone, so that a late call to a node is recognised.
    case deleted
  }

  /// What the reconciler has to do next about this row.
  public enum PendingWork: Sendable, Equatable {
    /// Find a pool.
    case place
    /// Ensure that the volume exists on this pool.
    case provision(PoolName)
    /// Ensure that the volume, and every instance that has it, shows this size.
    case extend(PoolName, to: ByteCount)
    /// Ensure that the volume has the content of this snapshot.
    case revert(PoolName, to: SnapshotID)
    /// Ensure that no earlier call about the volume, wherever it is under way, can change it any more.
    case settle(PoolName)
    /// Ensure that the volume says there whose it is.
    case describe(PoolName)
    /// Ensure that the volume and its bytes are gone from this pool.
    case erase(PoolName)
    /// Ensure that no earlier call can erase the volume any more.
    case keep(PoolName)
  }

  public let id: VolumeID
  public private(set) var project: ProjectID
  public private(set) var user: String
  public var name: String
  public var summary: String
  public var metadata: [String: String]
  /// What its owner says of the image that is on it, and whether a machine can start from that. `nil` is nothing, and no.
  public var imageMetadata: [String: String]?
  public var bootable: Bool?
  /// The group that it is in.
  public var group: GroupID?
  public private(set) var size: ByteCount
  public private(set) var type: VolumeTypeID
  /// `nil` is `false`.
  private let multiattach: Bool?
  private var readOnly: Bool?
  /// Where its first bytes come from; `nil` for zeros.
  public let source: VolumeSource?
  /// Where the user wants it; `nil` for anywhere.
  public let requestedZone: String?
  public let hints: PlacementHints?
  /// Where it is, or is to be.
  public private(set) var availabilityZone: String?
  public private(set) var pool: PoolName?
  public private(set) var state: State
  public private(set) var revision: Revision
  /// While `extending`: the size to reach.
  public private(set) var targetSize: ByteCount?
  /// While `reverting`: the snapshot whose content it gets; `nil` once that was given up.
  public private(set) var targetSnapshot: SnapshotID?
  /// While `creating`: the pools that refused or failed it, which are not asked again.
  public private(set) var triedPools: [PoolName]
  /// While `deleting`: whether it is to stay after all. `nil` is `false`.
  private var isKept: Bool?
  /// Whether it may say on its pool that it is somebody else's. `nil` is `false`.
  public private(set) var isMislabelled: Bool?
  /// When the agent confirmed the present size; capacity reports older than this do not know of it.
  public private(set) var confirmedAt: Timestamp?
  public var retry: Retry
  /// Why it is in an error state.
  public private(set) var failure: String?
  public let createdAt: Timestamp
  public private(set) var updatedAt: Timestamp?

  /// A volume that has been asked for and is nowhere yet.
  public init(
    id: VolumeID, project: ProjectID, user: String = "", name: String, summary: String = "",
    metadata: [String: String] = [:], size: ByteCount, type: VolumeTypeID, isMultiattach: Bool = false,
    source: VolumeSource? = nil, availabilityZone: String? = nil, hints: PlacementHints? = nil, createdAt: Timestamp
  ) {
    self.id = id
    self.project = project
    self.user = user
    self.name = name
    self.summary = summary
    self.metadata = metadata
    self.size = size
    self.type = type
    multiattach = isMultiattach ? true : nil
    self.source = source
    requestedZone = availabilityZone
    self.hints = hints
    self.availabilityZone = availabilityZone
    state = .creating
    revision = 1
    triedPools = []
    retry = Retry()
    self.createdAt = createdAt
  }

  /// A volume that was found on a pool, whole: from now on it is as if it had been made there.
  ///
  /// - Parameter revision: What its node knows it by, or a greater one.
  public init(
    adopting id: VolumeID, on pool: PoolName, availabilityZone: String, revision: Revision, project: ProjectID,
    user: String, name: String, summary: String, metadata: [String: String], size: ByteCount, type: VolumeTypeID,
    at now: Timestamp
  ) {
    self.init(
      id: id, project: project, user: user, name: name, summary: summary, metadata: metadata, size: size, type: type,
      createdAt: now)
    self.pool = pool
    self.availabilityZone = availabilityZone
    self.revision = revision
    state = .available
    confirmedAt = now
    // There it is called as whoever had it called it.
    isMislabelled = true
  }

  public var pendingWork: PendingWork? {
    switch state {
    case .creating: pool.map { .provision($0) } ?? .place
    case .extending: targetSize.flatMap { size in pool.map { .extend($0, to: size) } }
    case .reverting: pool.map { pool in targetSnapshot.map { .revert(pool, to: $0) } ?? .settle(pool) }
    case .deleting: pool.map { isKept == true ? .keep($0) : .erase($0) }
    case .available: isMislabelled == true ? pool.map { .describe($0) } : nil
    case .errorExtending, .awaitingTransfer, .error, .deleted: nil
    }
  }

  /// Whether several instances may have it at the same time, each of them writing.
  public var isMultiattach: Bool { multiattach == true }

  /// Whether whoever gets it from now on may only read it.
  public var isReadOnly: Bool { readOnly == true }

  /// What a quota counts for it: the size it has or is growing to; nothing once it is gone.
  public var promisedSize: ByteCount {
    state == .deleted ? .zero : max(size, targetSize ?? .zero)
  }

  /// Whether bytes of it may lie on its pool.
  public var occupiesPool: Bool { pool != nil && state != .deleted && state != .error }

  public mutating func setReadOnly(_ isReadOnly: Bool, at now: Timestamp) {
    guard isReadOnly != self.isReadOnly else { return }
    readOnly = isReadOnly ? true : nil
    touch(at: now)
  }

  /// Ends the row, and nothing else: the volume stays on its pool.
  public mutating func release(at now: Timestamp) throws(StorageError) {
    try require(state == .available, "left to itself")
    state = .deleted
    advance(at: now)
  }

  /// Gives it another type, which its pool has to be as good for.
  public mutating func retype(to type: VolumeTypeID, at now: Timestamp) throws(StorageError) {
    try require(state == .available, "given another type")
    self.type = type
    touch(at: now)
  }

  // MARK: Transitions. Each throws `conflict` where the drawing has no such arrow.

  /// Puts it on a pool; provisioning is next.
  public mutating func place(on pool: PoolName, availabilityZone: String, at now: Timestamp) throws(StorageError) {
    try require(state == .creating && self.pool == nil, "placed")
    self.pool = pool
    self.availabilityZone = availabilityZone
    advance(at: now)
  }

  /// Takes it off a pool that can't make it. What may lie there is the caller's to erase; the pool is not tried again.
  public mutating func abandonPool(because error: StorageError, at now: Timestamp) throws(StorageError) {
    try require(state == .creating && pool != nil, "placed elsewhere")
    if let pool { triedPools.append(pool) }
    pool = nil
    availabilityZone = requestedZone
    advance(at: now)
    retry.lastError = error.message
  }

  /// Ends `creating` without success. The volume is on no pool then.
  public mutating func fail(_ reason: String, at now: Timestamp) throws(StorageError) {
    try require(state == .creating && pool == nil, "given up")
    state = .error
    failure = reason
    advance(at: now)
  }

  /// Ends `creating` or `extending` with the size that was asked for.
  public mutating func confirm(at now: Timestamp) throws(StorageError) {
    try require((state == .creating && pool != nil) || state == .extending, "made available")
    size = targetSize ?? size
    targetSize = nil
    state = .available
    failure = nil
    confirmedAt = now
    // The call that made it so has told its pool all.
    isMislabelled = nil
    advance(at: now)
  }

  /// Begins to grow. The new size must be larger.
  public mutating func beginExtending(to newSize: ByteCount, at now: Timestamp) throws(StorageError) {
    try require(state == .available || state == .errorExtending, "extended")
    guard newSize > size else {
      throw .invalid(
        "new_size", "must be greater than the present size of \(size.gibibytesRoundedUp) GiB.")
    }
    state = .extending
    targetSize = newSize
    failure = nil
    advance(at: now)
  }

  /// Ends `extending` without success: the old size holds.
  public mutating func failExtending(_ reason: String, at now: Timestamp) throws(StorageError) {
    try require(state == .extending, "given up")
    state = .errorExtending
    targetSize = nil
    failure = reason
    advance(at: now)
  }

  /// Begins to get back the content of a snapshot. That nothing holds it is the caller's to know, and that the snapshot is
  /// its latest and has its size.
  public mutating func beginReverting(to snapshot: SnapshotID, at now: Timestamp) throws(StorageError) {
    try require(state == .available, "reverted")
    state = .reverting
    targetSnapshot = snapshot
    advance(at: now)
  }

  /// Ends the attempt to revert. A call that was sent for it may still come late, and must not find writes to overwrite:
  /// the volume is `reverting` until the pool has seen a newer revision.
  public mutating func giveUpReverting(at now: Timestamp) throws(StorageError) {
    try require(state == .reverting && targetSnapshot != nil, "left as it is")
    targetSnapshot = nil
    advance(at: now)
  }

  /// Ends `reverting`: with the snapshot's content, or, when that was given up, with the content that it had.
  public mutating func finishReverting(at now: Timestamp) throws(StorageError) {
    try require(state == .reverting, "made available")
    state = .available
    targetSnapshot = nil
    advance(at: now)
  }

  /// Offers it to another project. That nothing holds it or reads it is the caller's to know.
  public mutating func offer(at now: Timestamp) throws(StorageError) {
    try require(state == .available, "transferred")
    state = .awaitingTransfer
    advance(at: now)
  }

  /// Ends the offer: the volume stays where it is.
  public mutating func takeBack(at now: Timestamp) throws(StorageError) {
    try require(state == .awaitingTransfer, "taken back")
    state = .available
    advance(at: now)
  }

  /// Ends the offer: the volume is the other project's from now on, and is to say so on its pool.
  public mutating func accept(into project: ProjectID, by user: String, at now: Timestamp) throws(StorageError) {
    try require(state == .awaitingTransfer, "accepted")
    self.project = project
    self.user = user
    state = .available
    isMislabelled = true
    advance(at: now)
  }

  /// It says on its pool what it is.
  public mutating func confirmDescribed(at now: Timestamp) throws(StorageError) {
    try require(state == .available && isMislabelled == true, "described")
    isMislabelled = nil
    advance(at: now)
  }

  /// Begins to delete it. That nothing is attached is the caller's to know. A volume on no pool is gone at once.
  public mutating func beginDeleting(at now: Timestamp) throws(StorageError) {
    try require(state == .available || state == .error || state == .errorExtending, "deleted")
    state = pool == nil ? .deleted : .deleting
    failure = nil
    advance(at: now)
  }

  /// Ends `deleting`: only the tombstone is left.
  public mutating func finishDeleting(at now: Timestamp) throws(StorageError) {
    try require(state == .deleting, "forgotten")
    state = .deleted
    isKept = nil
    advance(at: now)
  }

  /// Ends the attempt to delete it, which its pool has refused. A call that was sent for it may still come late, and must not
  /// find a volume that nothing keeps it from erasing: the volume is `deleting` until the pool has seen a newer revision.
  public mutating func giveUpDeleting(at now: Timestamp) throws(StorageError) {
    try require(state == .deleting && isKept != true, "kept")
    isKept = true
    advance(at: now)
  }

  /// Ends `deleting` with the volume as it was.
  public mutating func finishKeeping(at now: Timestamp) throws(StorageError) {
    try require(state == .deleting && isKept == true, "kept")
    state = .available
    isKept = nil
    advance(at: now)
  }

  /// An operator's word over an error state: back to `available` after a failed extend, or to `error`.
  ///
  /// Nothing else can be set by hand: the other states follow from what is really there.
  public mutating func reset(to newState: State, at now: Timestamp) throws(StorageError) {
    switch (state, newState) {
    case (.errorExtending, .available), (.available, .available), (.error, .error):
      state = newState
      failure = newState == .error ? failure : nil
      advance(at: now)
    default:
      throw StorageError(
        .conflict,
        "\(label) is \(state.rawValue), so it can't be set to \(newState.rawValue): its state follows from what is on the nodes."
      )
    }
  }

  /// Notes a change of name, summary or metadata.
  public mutating func touch(at now: Timestamp) { updatedAt = now }

  /// How messages call it: by name where it has one.
  public var label: String { name.isEmpty ? "Volume \(id)" : "Volume \(name)" }

  private func require(_ condition: Bool, _ participle: String) throws(StorageError) {
    guard condition else {
      throw StorageError(.conflict, "\(label) is \(state.rawValue), so it can't be \(participle).")
    }
  }

  private mutating func advance(at now: Timestamp) {
    revision += 1
    updatedAt = now
    retry = Retry()
  }
}
