/// A named kind of group of volumes.
public struct GroupType: Sendable, Equatable, Codable {
  public let id: GroupTypeID
  public var name: String
  public var summary: String
  public var isPublic: Bool
  public var specs: [String: String]
  public let createdAt: Timestamp

  /// The spec by which snapshots of a group are of one moment, as in Cinder.
  public static let consistency = "consistent_group_snapshot_enabled"

  public init(
    id: GroupTypeID, name: String, summary: String = "", isPublic: Bool = true, specs: [String: String] = [:],
    createdAt: Timestamp
  ) {
    self.id = id
    self.name = name
    self.summary = summary
    self.isPublic = isPublic
    self.specs = specs
    self.createdAt = createdAt
  }

  /// Whether a snapshot of such a group must have the content of all its volumes at one moment.
  public var isConsistent: Bool { specs[Self.consistency] == "<is> True" }
}
