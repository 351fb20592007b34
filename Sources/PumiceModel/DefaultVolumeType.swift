/// The type that a project's volumes have which name no other.
public struct DefaultVolumeType: Sendable, Equatable, Codable {
  public let project: ProjectID
  public let type: VolumeTypeID

  public init(project: ProjectID, type: VolumeTypeID) {
    self.project = project
    self.type = type
  }
}
