/// A volume's content at one moment, kept on the volume's own pool.
///
///     creating ──▶ available ──▶ deleting ──▶ deleted (tombstone)
///        └──▶ error ─────────────────▲
///
/// A volume can't be deleted while it has snapshots, and a snapshot can't while a volume is being made from it.
public struct Snapshot: Sendable, Equatable, Codable {
  public enum State: String, Sendable, Codable, CaseIterable {
    /// Asked for; ends as `available` or, with a reason, as `error`.
    case creating
    /// There: volumes can be made from it, and its volume can be reverted to it.
    case available
    /// Could not be taken; has no bytes anywhere. Delete it.
    case error
    /// Going; ends as `deleted`, retried for as long as the node takes.
    case deleting
    /// Gone. The row stays as a tombstone, so that a late call to a node is recognised.
    case deleted
  }

  /// What the snapshot of a volume in use is worth.
  public enum Consistency: String, Sendable, Codable {
    /// As if the instance's plug had been pulled: file systems and databases recover from that by their journals.
    case crash
    /// The guest had written out its file systems and held them still.
    case quiesced
  }

  /// What the reconciler has to do next about this row.
  public enum PendingWork: Sendable, Equatable {
    /// Ensure that the pool has it.
    case take(PoolName)
    /// Ensure that it and its bytes are gone from the pool.
    case erase(PoolName)
  }

  public let id: SnapshotID
  public private(set) var project: ProjectID
  public private(set) var user: String
  public var name: String
  public var summary: String
  public var metadata: [String: String]
  public let volume: VolumeID
  /// The volume's type, for quotas that count by type.
  public let type: VolumeTypeID
  /// The volume's size at that moment.
  public let size: ByteCount
  /// Where the volume lies, and so the snapshot.
  public let pool: PoolName
  /// What it is part of.
  public let groupSnapshot: GroupSnapshotID?
  /// Whether it is taken together with the others that are part of the same: then that says what is to be done. `nil` is `false`.
  private let isTakenTogether: Bool?
  public private(set) var state: State
  public private(set) var revision: Revision
  public var retry: Retry
  /// Why it is in `error`.
  public private(set) var failure: String?
  /// `nil` when no instance had the volume, or when nobody knows that any more.
  public private(set) var consistency: Consistency?
  /// Why it is not `quiesced`.
  public private(set) var consistencyReason: String?
  /// When the agent confirmed it; capacity reports older than this do not know of it.
  public private(set) var confirmedAt: Timestamp?
  public let createdAt: Timestamp
  public private(set) var updatedAt: Timestamp?

  /// A snapshot that has been asked for and is not taken yet.
  public init(
    id: SnapshotID, of volume: Volume, on pool: PoolName, user: String = "", name: String, summary: String = "",
    metadata: [String: String] = [:], partOf groupSnapshot: GroupSnapshotID? = nil, isTakenTogether: Bool = false,
    createdAt: Timestamp
  ) {
    self.id = id
    project = volume.project
    self.user = user
    self.name = name
    self.summary = summary
    self.metadata = metadata
    self.volume = volume.id
    type = volume.type
    size = volume.size
    self.pool = pool
    self.groupSnapshot = groupSnapshot
    self.isTakenTogether = isTakenTogether ? true : nil
    state = .creating
    revision = 1
    retry = Retry()
    self.createdAt = createdAt
  }

  /// A snapshot that was found on its volume's pool, whole: from now on it is as if it had just been taken there.
  ///
  /// - Parameters:
  ///   - revision: What its node knows it by, or a greater one.
  ///   - size: That of the volume when it was taken.
  public init(
    adopting id: SnapshotID, of volume: Volume, on pool: PoolName, revision: Revision, user: String, name: String,
    summary: String, metadata: [String: String], size: ByteCount, at now: Timestamp
  ) {
    self.id = id
    project = volume.project
    self.user = user
    self.name = name
    self.summary = summary
    self.metadata = metadata
    self.volume = volume.id
    type = volume.type
    self.size = size
    self.pool = pool
    groupSnapshot = nil
    isTakenTogether = nil
    state = .available
    self.revision = revision
    retry = Retry()
    confirmedAt = now
    createdAt = now
  }

  public var pendingWork: PendingWork? {
    switch state {
    case .creating: isTakenTogether == true ? nil : .take(pool)
    case .deleting: .erase(pool)
    case .available, .error, .deleted: nil
    }
  }

  /// What a quota counts for it.
  public var promisedSize: ByteCount { state == .deleted ? .zero : size }

  /// Whether bytes of it may lie on its pool.
  public var occupiesPool: Bool { state != .deleted && state != .error }

  /// It goes with its volume to another project, in whatever state it is.
  public mutating func accept(into project: ProjectID, by user: String, at now: Timestamp) {
    self.project = project
    self.user = user
    updatedAt = now
  }

  /// Ends the row, and nothing else: the snapshot stays on its pool.
  public mutating func release(at now: Timestamp) throws(StorageError) {
    try require(state == .available, "left to itself")
    state = .deleted
    advance(at: now)
  }

  // MARK: Transitions. Each throws `conflict` where the drawing has no such arrow.

  /// Notes, before the node is asked the first time, that an instance has the volume. Nobody knows when a call that went
  /// unanswered was carried out: whoever asks again finds this note and claims no more than `crash`.
  public mutating func noteUse() throws(StorageError) {
    try require(state == .creating, "begun")
    consistency = .crash
  }

  /// The pool has it, taken while the guest held still or, with the reason, not.
  public mutating func confirm(
    quiesced: Bool = false, because reason: String? = nil, at now: Timestamp
  ) throws(StorageError) {
    try require(state == .creating, "made available")
    if consistency != nil {
      consistency = quiesced ? .quiesced : .crash
      consistencyReason = quiesced ? nil : reason
    }
    state = .available
    confirmedAt = now
    advance(at: now)
  }

  /// Ends `creating` without success. What may lie on the pool is the caller's to erase.
  public mutating func fail(_ reason: String, at now: Timestamp) throws(StorageError) {
    try require(state == .creating, "given up")
    state = .error
    failure = reason
    advance(at: now)
  }

  /// Begins to delete it. That no volume is being made from it is the caller's to know.
  public mutating func beginDeleting(at now: Timestamp) throws(StorageError) {
    try require(state == .available || state == .error, "deleted")
    state = .deleting
    failure = nil
    advance(at: now)
  }

  /// Ends `deleting`: only the tombstone is left.
  public mutating func finishDeleting(at now: Timestamp) throws(StorageError) {
    try require(state == .deleting, "forgotten")
    state = .deleted
    advance(at: now)
  }

  /// An operator's word, which changes nothing: every state follows from what is on the node.
  public func reset(to newState: State) throws(StorageError) {
    guard newState == state, state == .available || state == .error else {
      throw StorageError(
        .conflict,
        "\(label) is \(state.rawValue), so it can't be set to \(newState.rawValue): its state follows from what is on the node."
      )
    }
  }

  /// Notes a change of name, summary or metadata.
  public mutating func touch(at now: Timestamp) { updatedAt = now }

  /// How messages call it: by name where it has one.
  public var label: String { name.isEmpty ? "Snapshot \(id)" : "Snapshot \(name)" }

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
