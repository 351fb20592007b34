public import PumiceModel
public import PumiceWire

/// Snapshots. Calls about them take the lock of their volume: what is done to a volume and to its snapshots never overlaps.
extension NodeService {
  public func ensureSnapshot(_ id: SnapshotID, _ request: SnapshotRequest) async throws(StorageError) -> Progress {
    try request.check()
    try admit(request.incarnation)
    let backend = try backend(named: request.backend)
    return try await locks.withLock(.volume(request.volume), queue: Self.queueForLong) {
      () async throws(StorageError) in
      try gate.admit(.snapshot(id, backend: backend.name, pool: request.pool), request.revision, recorded: nil)
      try await passOn(request, from: request.volume, to: backend)
      switch try await backend.ensureSnapshot(id, request, inUse: isInUse(request.volume, on: backend)) {
      case .underway(let progress): return progress
      case .done: return .complete
      }
    }
  }

  public func removeSnapshot(_ id: SnapshotID, _ request: SnapshotRemoval) async throws(StorageError) -> Progress {
    try request.check()
    let backend = try backend(named: request.backend)
    return try await locks.withLock(.volume(request.volume)) { () async throws(StorageError) in
      try gate.admit(.snapshot(id, backend: backend.name, pool: request.pool), request.revision, recorded: nil)
      try await passOn(request, from: request.volume, to: backend)
      let isInUse = isInUse(request.volume, on: backend)
      if request.declined != nil, let backend = backend as? any ImageBackend {
        return try await backend.removeSnapshot(
          id, of: request.volume, pool: request.pool, inUse: isInUse, mayAsk: false)
      }
      return try await backend.removeSnapshot(id, of: request.volume, pool: request.pool, inUse: isInUse)
    }
  }
}
