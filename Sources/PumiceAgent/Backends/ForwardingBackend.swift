public import PumiceModel
public import PumiceWire

/// A backend in front of another: whoever conforms says what is different, and the rest is passed on.
public protocol ForwardingBackend: VolumeBackend {
  var backend: any VolumeBackend { get throws(StorageError) }
}

extension ForwardingBackend {
  public func volumes() async throws(StorageError) -> [StoredVolume] { try await backend.volumes() }

  public func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? { try await backend.volume(id) }

  public func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.ensure(id, request, use)
  }

  public func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try await backend.remove(id, pool: pool)
  }

  public func snapshots() async throws(StorageError) -> [StoredSnapshot] { try await backend.snapshots() }

  public func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    try await backend.ensureSnapshot(id, request, inUse: inUse)
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool
  ) async throws(StorageError) -> Progress {
    try await backend.removeSnapshot(id, of: volume, pool: pool, inUse: inUse)
  }

  public func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.revert(id, request)
  }
}
