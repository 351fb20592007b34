public import PumiceAgent
public import PumiceModel
public import PumiceWire
import Testing

/// Long work asked for until it has ended, as the coordinator does.
extension VolumeBackend {
  public func ensured(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse = VolumeUse()
  ) async throws(StorageError) -> StoredVolume {
    try await settled { () async throws(StorageError) in
      let work = try await ensure(id, request, use)
      guard case .underway(let progress) = work, let generation = progress.awaits,
        let images = self as? any ImageBackend
      else { return work }
      try await images.adopt(request.source?.volume ?? id, pool: request.pool, generation: generation)
      return try await ensure(id, request, use)
    }
  }

  public func erase(_ id: VolumeID, pool: String) async throws(StorageError) {
    _ = try await settled { () async throws(StorageError) -> Work<Void> in
      let progress = try await remove(id, pool: pool)
      return progress.isComplete ? .done(()) : .underway(progress)
    }
  }

  public func snapshotted(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool = false
  ) async throws(StorageError) -> StoredSnapshot {
    try await settled { () async throws(StorageError) in
      let work = try await ensureSnapshot(id, request, inUse: inUse)
      guard case .underway(let progress) = work, let generation = progress.awaits,
        let images = self as? any ImageBackend
      else { return work }
      // Whoever uses the volume has gone over.
      try await images.adopt(request.volume, pool: request.pool, generation: generation)
      return try await ensureSnapshot(id, request, inUse: inUse)
    }
  }

  public func erase(_ id: SnapshotID, of volume: VolumeID, pool: String) async throws(StorageError) {
    _ = try await settled { () async throws(StorageError) -> Work<Void> in
      let progress = try await removeSnapshot(id, of: volume, pool: pool)
      return progress.isComplete ? .done(()) : .underway(progress)
    }
  }

  public func reverted(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> StoredVolume {
    try await settled { () async throws(StorageError) in try await revert(id, request) }
  }
}

private func settled<Value>(
  _ work: () async throws(StorageError) -> Work<Value>
) async throws(StorageError) -> Value {
  var progress = 0.0
  for _ in 0..<1000 {
    switch try await work() {
    case .done(let value): return value
    case .underway(let now):
      #expect(now.done < 1)
      #expect(now.done >= progress, "progress must not go back")
      progress = now.done
    }
  }
  throw StorageError(.timeout, "The work was still under way after 1,000 calls.")
}
