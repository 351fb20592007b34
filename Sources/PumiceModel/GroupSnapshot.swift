/// Snapshots of all volumes of a group, asked for at once. Each says itself what it is part of (`Snapshot.groupSnapshot`).
///
///     taking ──▶ taken
///        └─────▶ failed
///
/// It is `taking` where its snapshots must be of one moment while an instance writes to their volumes: then they are taken together,
/// within one hold of the guest. That is tried once. All other snapshots are taken one by one, and this is `taken` from the start.
public struct GroupSnapshot: Sendable, Equatable, Codable {
  public enum State: String, Sendable, Codable, CaseIterable {
    /// Its snapshots wait for one hold; ends as `taken` or, with a reason, as `failed`.
    case taking
    /// Its snapshots say how they are.
    case taken
    /// They could not be taken at one moment; none of them has any bytes. Delete it.
    case failed
  }

  public let id: GroupSnapshotID
  public let project: ProjectID
  public let user: String
  public let group: GroupID
  public let type: GroupTypeID
  public let name: String
  public let summary: String
  public private(set) var state: State
  /// Whether a node may have been asked: an interrupted try is not gone on with, since the guest did not hold still for that long.
  public private(set) var hasBegun: Bool
  public private(set) var failure: String?
  public let createdAt: Timestamp

  public init(
    id: GroupSnapshotID, of group: Group, user: String = "", name: String, summary: String = "",
    isTakenTogether: Bool, createdAt: Timestamp
  ) {
    self.id = id
    project = group.project
    self.user = user
    self.group = group.id
    type = group.type
    self.name = name
    self.summary = summary
    state = isTakenTogether ? .taking : .taken
    hasBegun = false
    self.createdAt = createdAt
  }

  /// Whether its snapshots are still to be taken together.
  public var isPending: Bool { state == .taking }

  /// Notes, before any node is asked, that one will be. Throws `conflict` the second time.
  public mutating func begin() throws(StorageError) {
    try require(state == .taking && !hasBegun, "begun")
    hasBegun = true
  }

  public mutating func finish() throws(StorageError) {
    try require(state == .taking, "made available")
    state = .taken
  }

  public mutating func fail(_ reason: String) throws(StorageError) {
    try require(state == .taking, "given up")
    state = .failed
    failure = reason
  }

  /// How messages call it.
  public var label: String { name.isEmpty ? "Group snapshot \(id)" : "Group snapshot \(name)" }

  private func require(_ condition: Bool, _ participle: String) throws(StorageError) {
    guard condition else {
      throw StorageError(.conflict, "\(label) is \(state.rawValue), so it can't be \(participle).")
    }
  }
}
