/// A named kind of volume; its extra specs say what a pool must offer.
public struct VolumeType: Sendable, Equatable, Codable {
  public let id: VolumeTypeID
  public var name: String
  public var summary: String
  public var isPublic: Bool
  public var extraSpecs: [String: String]
  public let createdAt: Timestamp

  /// The type that is there from the start and takes volumes which name no other, as in Cinder.
  public static let defaultName = "__DEFAULT__"

  public init(
    id: VolumeTypeID, name: String, summary: String = "", isPublic: Bool = true, extraSpecs: [String: String] = [:],
    createdAt: Timestamp
  ) {
    self.id = id
    self.name = name
    self.summary = summary
    self.isPublic = isPublic
    self.extraSpecs = extraSpecs
    self.createdAt = createdAt
  }
}
