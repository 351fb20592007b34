/// A named kind of volume; its extra specs say what a pool must offer.
public struct VolumeType: Sendable, Equatable, Codable {
  public let id: VolumeTypeID
  public var name: String
  public var summary: String
  public var isPublic: Bool
  public var extraSpecs: [String: String]
  /// The projects that may see it and use it when it is not public. `nil` is none.
  public var projects: Set<ProjectID>?
  /// The rules of service of its volumes; `nil` is none.
  public var qosSpec: QoSSpecID?
  public var encryption: VolumeEncryption?
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

  /// Whether somebody in this project may see it and use it.
  public func isOpen(to project: ProjectID) -> Bool { isPublic || projects?.contains(project) == true }

  /// Whether volumes of it may be attached to several instances at the same time: when that is asked of their pool, with
  /// `multiattach=<is> True`, as in Cinder since 3.50.
  public var allowsMultiattach: Bool {
    ExtraSpecs(extraSpecs).demands.contains { $0.capability == "multiattach" && $0.comparison == .means(true) }
  }
}
