/// Volumes of a project that belong together. Each says itself which group it is in (`Volume.group`), and is in one at most.
public struct Group: Sendable, Equatable, Codable {
  public let id: GroupID
  public let project: ProjectID
  public let user: String
  public var name: String
  public var summary: String
  public let type: GroupTypeID
  /// The types that its volumes may have.
  public let volumeTypes: [VolumeTypeID]
  public let availabilityZone: String?
  /// What its first volumes were made from; `nil` for a group that began empty.
  public let source: Source?
  public let createdAt: Timestamp

  public enum Source: Sendable, Equatable, Codable {
    case groupSnapshot(GroupSnapshotID)
    case group(GroupID)
  }

  public init(
    id: GroupID, project: ProjectID, user: String = "", name: String, summary: String = "", type: GroupTypeID,
    volumeTypes: [VolumeTypeID], availabilityZone: String? = nil, source: Source? = nil, createdAt: Timestamp
  ) {
    self.id = id
    self.project = project
    self.user = user
    self.name = name
    self.summary = summary
    self.type = type
    self.volumeTypes = volumeTypes
    self.availabilityZone = availabilityZone
    self.source = source
    self.createdAt = createdAt
  }

  /// How messages call it.
  public var label: String { name.isEmpty ? "Group \(id)" : "Group \(name)" }
}
