/// What a volume may have left on a pool it is not on: a failed or slow provision, or a late call after a delete.
///
/// The row lives until the agent has confirmed that nothing is there.
public struct Residue: Sendable, Equatable, Codable {
  public struct Key: Hashable, Sendable, Comparable, Codable {
    public let volume: VolumeID
    public let pool: PoolName

    public init(volume: VolumeID, pool: PoolName) {
      self.volume = volume
      self.pool = pool
    }

    public static func < (left: Self, right: Self) -> Bool {
      (left.volume, left.pool) < (right.volume, right.pool)
    }
  }

  public let key: Key
  /// Newer than every call about the volume that this pool was ever sent.
  public let revision: Revision
  public var retry: Retry

  public init(volume: VolumeID, pool: PoolName, revision: Revision) {
    key = Key(volume: volume, pool: pool)
    self.revision = revision
    retry = Retry()
  }
}
