public import PumiceModel
public import PumiceWire

/// One configured storage of a node, with one or more pools: the port that every backend implements.
///
/// | driver             | kind        | a volume is                        |
/// |--------------------|-------------|------------------------------------|
/// | `DirectoryBackend` | `directory` | a raw file with a JSON sidecar     |
/// | `InMemoryBackend`  | `memory`    | an entry of a dictionary           |
///
/// Calls about one volume come one at a time; calls about different volumes come together. Each may be repeated after a
/// crash at any point of an earlier one, and finds its way from whatever that left. `BackendConformance` holds a driver
/// to what stands here.
public protocol VolumeBackend: Sendable {
  /// The name from the configuration, unique on the node.
  var name: String { get }

  /// What each pool has now. A pool that can't be read says so in `downReason`; it is not an error.
  func pools() async -> [PoolReport]

  /// Every volume of ours that is there, whole or half-made leavings excluded.
  func volumes() async throws(StorageError) -> [StoredVolume]

  /// The volume, or `nil` if it is not there.
  func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume?

  /// When it returns, the volume is there, durable, zeroed, and at least this large. An existing one grows or stays.
  ///
  /// Remembers `revision` and `description` beside the bytes. Throws `noSpace`, `notFound` for an unknown pool.
  func ensure(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> StoredVolume

  /// When it returns, neither the volume nor its bytes nor anything half-made of it is there.
  func remove(_ id: VolumeID, pool: String) async throws(StorageError)
}

/// A volume as the storage describes it.
public struct StoredVolume: Sendable, Equatable {
  public let id: VolumeID
  public let pool: String
  public let size: ByteCount
  /// The newest revision that the storage has seen; `ensure` with an older one is the caller's mistake.
  public let revision: Revision
  /// What to export: an absolute path, or a name only the in-memory drivers know.
  public let path: String
  public let description: VolumeDescription

  public init(
    id: VolumeID, pool: String, size: ByteCount, revision: Revision, path: String, description: VolumeDescription
  ) {
    self.id = id
    self.pool = pool
    self.size = size
    self.revision = revision
    self.path = path
    self.description = description
  }
}
