/// Where a new volume's first bytes come from; a volume without one begins as zeros.
///
/// The new volume lies on the pool of its source and is at least as large.
public enum VolumeSource: Sendable, Hashable, Codable {
  case snapshot(SnapshotID, of: VolumeID)
  /// Another volume, as it is at one moment while the new one is made.
  case volume(VolumeID)

  /// The volume whose bytes they are or were.
  public var volume: VolumeID {
    switch self {
    case .snapshot(_, let volume), .volume(let volume): volume
    }
  }

  public var snapshot: SnapshotID? {
    switch self {
    case .snapshot(let snapshot, _): snapshot
    case .volume: nil
    }
  }
}
