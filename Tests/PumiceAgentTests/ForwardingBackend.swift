import PumiceModel
import PumiceWire

@testable import PumiceAgent

/// Passes everything on; whoever conforms says what is different.
protocol ForwardingBackend: VolumeBackend {
  var backend: InMemoryBackend { get }
}

extension ForwardingBackend {
  var name: String { backend.name }
  func pools() async -> [PoolReport] { await backend.pools() }
  func volumes() async throws(StorageError) -> [StoredVolume] { try await backend.volumes() }
  func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? { try await backend.volume(id) }
  func ensure(
    _ id: VolumeID, _ request: VolumeRequest, sourceInUse: Bool
  ) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.ensure(id, request, sourceInUse: sourceInUse)
  }
  func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try await backend.remove(id, pool: pool)
  }
  func snapshots() async throws(StorageError) -> [StoredSnapshot] { try await backend.snapshots() }
  func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    try await backend.ensureSnapshot(id, request, inUse: inUse)
  }
  func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String
  ) async throws(StorageError) -> Progress { try await backend.removeSnapshot(id, of: volume, pool: pool) }
  func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.revert(id, request)
  }
}

/// Volumes that have to be made ready, as those of LVM.
struct DeviceBackend: ForwardingBackend, ActivatingBackend {
  let backend: InMemoryBackend
  /// Outlives the agent.
  let active: Shared<[VolumeID]>
  var reach: @Sendable (_ step: String) async throws(StorageError) -> Void = { _ throws(StorageError) in }

  func activate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await reach("activate")
    active.withLock { if !$0.contains(id) { $0.append(id) } }
    try await reach("activate.done")
  }
  func deactivate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await reach("deactivate")
    active.withLock { $0.removeAll { $0 == id } }
    try await reach("deactivate.done")
  }
}
