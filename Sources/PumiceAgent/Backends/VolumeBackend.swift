public import PumiceModel
public import PumiceWire

/// One configured storage of a node, with one or more pools: the port that every backend implements.
///
/// | driver             | kind        | a volume is                        |
/// |--------------------|-------------|------------------------------------|
/// | `DirectoryBackend` | `directory` | a raw file with a JSON sidecar     |
/// | `LVMBackend`       | `lvm`       | a logical volume with tags         |
/// | `NFSBackend`       | `nfs`       | image files with a JSON sidecar    |
/// | `InMemoryBackend`  | `memory`    | an entry of a dictionary           |
///
/// `BackendInWaiting` stands for an `LVMBackend` that could not be opened yet, and `InMemoryDevices` makes devices of what an
/// `InMemoryBackend` has.
///
/// Calls about one volume and its snapshots come one at a time; calls about different volumes come together. Each may be
/// repeated after a crash at any point of an earlier one, and finds its way from whatever that left. `BackendConformance`
/// holds a driver to what stands here.
///
/// Long work (copying, wiping) is done in slices of a few seconds: a call does one, keeps where it stands with the bytes,
/// and answers `underway`; the next call goes on from there. What nobody asks for any more stands still, and is taken away
/// by the removal of what it was to become.
public protocol VolumeBackend: Sendable {
  /// The name from the configuration, unique on the node.
  var name: String { get }

  /// Whether several may write to one of its volumes at the same time, when it was made for that. Without it, a volume is never
  /// exported for two attachments.
  var allowsMultiattach: Bool { get }

  /// What each pool has now. A pool that can't be read says so in `downReason`; it is not an error.
  func pools() async -> [PoolReport]

  /// Every volume of ours that is there, whole or half-made leavings excluded.
  func volumes() async throws(StorageError) -> [StoredVolume]

  /// The volume, or `nil` if it is not there.
  func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume?

  /// When it is done, the volume is there, durable, and at least this large. A new one holds its source's content and then
  /// zeros; an existing one grows, with zeros, or stays.
  ///
  /// Remembers `revision` and `description` beside the bytes. Throws `noSpace`, `notFound` for an unknown pool or source,
  /// `invalid` for a new volume that is smaller than its source.
  ///
  /// - Parameter use: Where somebody may be writing to the volume that is copied, its content is of one instant, or the copy is
  ///   refused with `unsupported`. It may change from one call to the next.
  func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<StoredVolume>

  /// When it is complete, neither the volume nor its bytes nor anything half-made of it is there. Already when it answers
  /// less, there is no such volume any more, only bytes to wipe. Throws `inUse` while it has snapshots.
  func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress

  /// Every snapshot of ours that is there, half-made ones excluded.
  func snapshots() async throws(StorageError) -> [StoredSnapshot]

  /// When it is done, the pool holds the volume's content of one moment since the first call, durable; an existing snapshot
  /// stays as it is. Writes to the volume that were answered before the first call are in it.
  ///
  /// - Parameter inUse: Whether somebody may be writing to the volume: then it is taken in an instant, or refused with
  ///   `unsupported`.
  func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot>

  /// When it is complete, neither the snapshot nor its bytes nor anything half-made of it is there. Volumes that were made
  /// from it stay as they are. Content when it is not there.
  ///
  /// - Parameter inUse: Whether somebody may be writing to the volume.
  func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool
  ) async throws(StorageError) -> Progress

  /// When it is done, the volume has the snapshot's content, durable, with zeros behind it where it has grown since, and
  /// remembers the request's revision; the snapshot is still there, and so are the others, older or newer. It is all or
  /// nothing, whenever it is cut off. When the volume has been reverted under this revision already, nothing is changed.
  /// Nobody has the volume open. Throws `notFound` without volume or snapshot.
  func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume>
}

extension VolumeBackend {
  public var allowsMultiattach: Bool { false }

  /// Of a volume that nobody uses, from a source that nobody uses.
  public func ensure(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Work<StoredVolume> {
    try await ensure(id, request, VolumeUse())
  }

  /// Of a volume that nobody uses.
  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String
  ) async throws(StorageError) -> Progress {
    try await removeSnapshot(id, of: volume, pool: pool, inUse: false)
  }
}

/// Who may have open what a call is about, as the caller's records have it.
public struct VolumeUse: Sendable, Equatable {
  public var ofVolume: Bool
  public var ofSource: Bool

  public init(ofVolume: Bool = false, ofSource: Bool = false) {
    self.ofVolume = ofVolume
    self.ofSource = ofSource
  }
}

/// A backend whose volumes are files of a share: those who use a volume open them by themselves, with no target in between.
///
/// While a volume is in use, some of what is asked for takes their part. Then a call answers `underway` with a generation to
/// be awaited: its users go over to the image that `image(of:pool:inUse:)` names from then on, and `adopt` says so.
public protocol ImageBackend: VolumeBackend {
  /// The files to open, once each of them was found to be what it should be. Where nobody uses the volume, what an earlier use
  /// has left undone is done first.
  func image(of id: VolumeID, pool: String, inUse: Bool) async throws(StorageError) -> SharedImage

  /// The same as without `mayAsk`, which is `true` there. Else layers that those who use the volume have open stay as they are,
  /// and nobody is awaited for them.
  func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool, mayAsk: Bool
  ) async throws(StorageError) -> Progress

  /// Lets go what copies have held of the volume that are made or given up, and moves together what that has kept apart.
  /// Nothing but room is lost without it: whatever changes the volume next lets go too. Content when there is no such volume.
  func release(_ id: VolumeID, pool: String, inUse: Bool) async throws(StorageError) -> Progress

  /// Everybody who uses the volume has gone over to the image of this generation. Harmless when repeated, or late.
  func adopt(_ id: VolumeID, pool: String, generation: Int) async throws(StorageError)

  /// Somebody who uses the volume can't go over now: the step is taken back, if it is one that may wait.
  func decline(_ id: VolumeID, pool: String, generation: Int) async throws(StorageError)
}

/// A backend whose volumes have to be made ready before their path can be opened.
public protocol ActivatingBackend: VolumeBackend {
  /// When it returns, the volume's path can be opened. Harmless when repeated.
  func activate(_ id: VolumeID, pool: String) async throws(StorageError)

  /// Undoes `activate`, once nothing exports or uses the volume any more. Content when it is not active or not there.
  func deactivate(_ id: VolumeID, pool: String) async throws(StorageError)
}

/// What a call that may take long has come to.
public enum Work<Value: Sendable>: Sendable {
  case done(Value)
  /// The call did a part and kept it; the same call goes on.
  case underway(Progress)

  func map<Other>(_ body: (Value) -> Other) -> Work<Other> {
    switch self {
    case .done(let value): .done(body(value))
    case .underway(let progress): .underway(progress)
    }
  }
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
  /// Whether it was made for several instances at the same time.
  public let isMultiattach: Bool

  public init(
    id: VolumeID, pool: String, size: ByteCount, revision: Revision, path: String, description: VolumeDescription,
    isMultiattach: Bool = false
  ) {
    self.id = id
    self.pool = pool
    self.size = size
    self.revision = revision
    self.path = path
    self.description = description
    self.isMultiattach = isMultiattach
  }
}

/// A snapshot as the storage describes it.
public struct StoredSnapshot: Sendable, Equatable {
  public let id: SnapshotID
  public let volume: VolumeID
  public let pool: String
  /// The volume's size when it was taken.
  public let size: ByteCount
  public let revision: Revision
  public let description: VolumeDescription

  public init(
    id: SnapshotID, of volume: VolumeID, pool: String, size: ByteCount, revision: Revision,
    description: VolumeDescription
  ) {
    self.id = id
    self.volume = volume
    self.pool = pool
    self.size = size
    self.revision = revision
    self.description = description
  }
}
