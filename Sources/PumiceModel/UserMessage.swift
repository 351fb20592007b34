/// A user-visible reason why something failed, kept beside the resource it is about (Cinder's messages, API 3.3).
public struct UserMessage: Sendable, Equatable, Codable {
  /// What was being done; the raw value is the action id in Cinder's event id `VOLUME_<resource>_<action>_<detail>`.
  public enum Action: String, Sendable, Codable {
    case schedule = "001"
    case attach = "002"
    case extend = "007"
    case create = "008"
    case takeSnapshot = "009"
    /// Cinder has none for it.
    case revert = "101"
    /// As for that.
    case delete = "102"
  }

  public let id: MessageID
  public let project: ProjectID
  public let volume: VolumeID
  /// The snapshot of the volume that it is about, if it is about one.
  public let snapshot: SnapshotID?
  public let action: Action
  public let text: String
  /// The `X-Openstack-Request-Id` of the request that led here, where one is known.
  public let requestID: String?
  public let createdAt: Timestamp

  /// How long messages are kept.
  public static let lifetime: Duration = .seconds(30 * 24 * 3600)

  public init(
    id: MessageID, project: ProjectID, volume: VolumeID, snapshot: SnapshotID? = nil, action: Action, text: String,
    requestID: String? = nil, createdAt: Timestamp
  ) {
    self.id = id
    self.project = project
    self.volume = volume
    self.snapshot = snapshot
    self.action = action
    self.text = text
    self.requestID = requestID
    self.createdAt = createdAt
  }
}
