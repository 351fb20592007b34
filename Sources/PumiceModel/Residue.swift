/// What a volume or a snapshot may have left on a pool: bytes that are still being wiped, a failed or slow provision, or a
/// late call after a delete.
///
/// The row lives until the agent has confirmed that nothing is there.
public struct Residue: Sendable, Equatable, Codable {
  public struct Key: Hashable, Sendable, Comparable, Codable {
    public let volume: VolumeID
    /// The snapshot of the volume that it is of; `nil` for the volume itself.
    public let snapshot: SnapshotID?
    public let pool: PoolName

    public init(volume: VolumeID, snapshot: SnapshotID? = nil, pool: PoolName) {
      self.volume = volume
      self.snapshot = snapshot
      self.pool = pool
    }

    public static func < (left: Self, right: Self) -> Bool {
      (left.volume, left.rank, left.pool) < (right.volume, right.rank, right.pool)
    }

    /// The volume itself comes before its snapshots.
    private var rank: SnapshotID { snapshot ?? SnapshotID(high: 0, low: 0) }
  }

  public let key: Key
  /// Newer than every call about it that this pool was ever sent.
  public let revision: Revision
  public var retry: Retry

  public init(of volume: Volume, on pool: PoolName) {
    self.init(Key(volume: volume.id, pool: pool), revision: volume.revision)
  }

  public init(of snapshot: Snapshot, on pool: PoolName) {
    self.init(Key(volume: snapshot.volume, snapshot: snapshot.id, pool: pool), revision: snapshot.revision)
  }

  public init(_ key: Key, revision: Revision) {
    self.key = key
    self.revision = revision
    retry = Retry()
  }
}
