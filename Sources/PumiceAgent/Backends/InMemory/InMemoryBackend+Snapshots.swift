public import PumiceModel
public import PumiceWire

extension InMemoryBackend {
  public func snapshots() async throws(StorageError) -> [StoredSnapshot] {
    try await reach("snapshots")
    return disk.snapshotEntries.compactMap { id, entry in entry.isWhole ? stored(id, entry) : nil }
  }

  public func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    try await reach("ensureSnapshot")
    try require(pool: request.pool)
    try disk.begin(id, request, takesSpace: !isThin)
    try await reach("ensureSnapshot.begun")
    if disk.snapshotEntry(id)?.isWhole == false, let progress = disk.advance(.snapshot(id), slices: slices) {
      return .underway(progress)
    }
    disk.finish(id)
    try await reach("ensureSnapshot.done")
    guard let entry = disk.snapshotEntry(id) else {
      throw StorageError(.failed, "Snapshot \(id) was taken on pool \(request.pool), but it is not there afterwards.")
    }
    return .done(stored(id, entry))
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool
  ) async throws(StorageError) -> Progress {
    try await reach("removeSnapshot")
    try require(pool: pool)
    guard let entry = disk.snapshotEntry(id), entry.pool == pool else { return .complete }
    guard entry.volume == volume else {
      throw StorageError(
        .conflict, "Snapshot \(id) can't be removed: it is one of volume \(entry.volume), not of volume \(volume).")
    }
    disk.unmake(id, pool: pool)
    try await reach("removeSnapshot.begun")
    if let progress = disk.advance(.snapshotRemoval(id), slices: slices) { return progress }
    disk.erase(id, pool: pool, givesSpace: !isThin)
    try await reach("removeSnapshot.done")
    return .complete
  }

  public func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    try await reach("revert")
    try require(pool: request.pool)
    if try !disk.isReverted(id, request) {
      try await reach("revert.begun")
      let work = InMemoryDisk.LongWork.revert(id, request.snapshot, request.revision)
      if let progress = disk.advance(work, slices: slices) { return .underway(progress) }
      disk.revert(id, request)
      try await reach("revert.done")
    }
    guard let entry = disk.entry(id), entry.isWhole else {
      throw StorageError(.failed, "Volume \(id) was reverted on pool \(request.pool), but it is not there afterwards.")
    }
    return .done(stored(id, entry))
  }

  private func stored(_ id: SnapshotID, _ entry: InMemoryDisk.SnapshotEntry) -> StoredSnapshot {
    StoredSnapshot(
      id: id, of: entry.volume, pool: entry.pool, size: entry.size, revision: entry.revision,
      description: entry.description)
  }
}
