/// The offer of a volume to whoever has its key. The row is there exactly as long as the volume is `awaitingTransfer`: it ends when
/// another project accepts the volume, or when the offer is taken back.
public struct Transfer: Sendable, Equatable, Codable {
  public let id: TransferID
  public let volume: VolumeID
  /// Whose the volume is.
  public let project: ProjectID
  public let name: String
  /// Whether the volume's snapshots stay with the project that offers it.
  public let leavesSnapshots: Bool
  /// What is kept of the key: enough to know it, and nothing to find it by.
  public let keyDigest: String
  public let createdAt: Timestamp

  public init(
    id: TransferID, of volume: Volume, name: String = "", leavesSnapshots: Bool = false, keyDigest: String,
    createdAt: Timestamp
  ) {
    self.id = id
    self.volume = volume.id
    project = volume.project
    self.name = name
    self.leavesSnapshots = leavesSnapshots
    self.keyDigest = keyDigest
    self.createdAt = createdAt
  }
}
