import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

extension PendingWorkRunner {
  func perform(_ work: Volume.PendingWork, of volume: Volume) async throws {
    let (policy, surroundings) = (policy, surroundings)
    switch work {
    case .place:
      try await store.write { tables in
        guard let current = tables.volumes[volume.id], current.revision == volume.revision else { return }
        try tables.place(current, policy: policy, at: surroundings.now(), in: surroundings)
      }
    case .provision(let pool):
      do {
        var request = try request(volume, on: pool, size: volume.size)
        request.source = volume.source
        request.multiattach = volume.isMultiattach
        let progress = try await followed(by: volume.source?.volume ?? volume.id, request) {
          request throws(StorageError) in
          try await node(pool.node).ensureVolume(volume.id, request)
        }
        try await store.write { tables in
          if progress.isComplete {
            try tables.confirm(volume, at: surroundings.now())
          } else {
            tables.noteProgress(volume, progress.done, at: surroundings.now())
          }
        }
      } catch let error as StorageError {
        log(error, "A pool failed to make a volume", volume)
        try await store.write {
          try $0.noteProvisionFailure(volume, error, policy: policy, at: surroundings.now(), in: surroundings)
        }
      }
    case .extend(let pool, let size):
      do {
        var request = try request(volume, on: pool, size: size)
        request.mustExist = true
        let progress = try await followed(by: volume.id, request) { request throws(StorageError) in
          try await node(pool.node).ensureVolume(volume.id, request)
        }
        guard progress.isComplete else {
          return try await store.write { $0.noteProgress(volume, progress.done, at: surroundings.now()) }
        }
      } catch let error as StorageError {
        log(error, "A pool failed to extend a volume", volume)
        return try await store.write {
          try $0.noteExtendFailure(volume, error, policy: policy, at: surroundings.now(), in: surroundings)
        }
      }
      do throws(StorageError) {
        for attachment in store.tables.holders(of: volume.id)
        where attachment.state == .attached && attachment.place != nil {
          _ = try await connect(attachment, to: volume, size: size)
        }
      } catch {
        log(error, "An instance could not be told of the new size", volume)
        return try await store.write { try $0.confirmExtendAndRepair(volume, at: surroundings.now()) }
      }
      try await store.write { try $0.confirm(volume, at: surroundings.now()) }
    case .revert(let pool, let snapshot):
      do {
        var request = RevertRequest(
          revision: volume.revision, snapshot: snapshot, backend: pool.backend, pool: pool.pool)
        request.incarnation = try observation(of: pool.node).incarnation
        let progress = try await node(pool.node).revertVolume(volume.id, request)
        try await store.write { tables in
          if progress.isComplete {
            try tables.confirmReverted(volume, at: surroundings.now())
          } else {
            tables.noteProgress(volume, progress.done, at: surroundings.now())
          }
        }
      } catch let error as StorageError {
        log(error, "A pool failed to revert a volume", volume)
        try await store.write {
          try $0.noteRevertFailure(volume, error, policy: policy, at: surroundings.now(), in: surroundings)
        }
      }
    case .settle(let pool):
      let progress: Progress
      do throws(StorageError) {
        progress = try await settle(volume, on: pool) ?? .complete
      } catch {
        log(error, "A pool could not be told that a revert was given up", volume)
        return try await store.write { $0.noteSettleFailure(volume, error, at: surroundings.now()) }
      }
      guard progress.isComplete else {
        return try await store.write { $0.noteProgress(volume, progress.done, at: surroundings.now()) }
      }
      try await store.write { try $0.confirmReverted(volume, at: surroundings.now()) }
    case .describe(let pool):
      do {
        let progress = try await settle(volume, on: pool) ?? .complete
        try await store.write { tables in
          if progress.isComplete {
            try tables.confirmDescribed(volume, at: surroundings.now())
          } else {
            tables.noteProgress(volume, progress.done, at: surroundings.now())
          }
        }
      } catch let error as StorageError {
        log(error, "A pool could not be told whose a volume is", volume)
        try await store.write { $0.noteSettleFailure(volume, error, at: surroundings.now()) }
      }
    case .erase(let pool):
      do {
        let progress = try await erase(volume.id, from: pool, revision: volume.revision)
        try await store.write { try $0.confirmErased(volume, wiped: progress.done, at: surroundings.now()) }
      } catch let error as StorageError {
        log(error, "A pool failed to erase a volume", volume)
        let found = error.code == .inUse ? await snapshots(of: volume.id, on: pool) : []
        try await store.write {
          try $0.noteEraseFailure(volume, error, with: found, at: surroundings.now(), in: surroundings)
        }
      }
    case .keep(let pool):
      do {
        let progress = try await settle(volume, on: pool)
        try await store.write { tables in
          switch progress {
          case nil: try tables.confirmErased(volume, wiped: 1, at: surroundings.now())
          case let progress? where progress.isComplete: try tables.confirmKept(volume, at: surroundings.now())
          case let progress?: tables.noteProgress(volume, progress.done, at: surroundings.now())
          }
        }
      } catch let error as StorageError {
        log(error, "A pool could not be told that a volume stays", volume)
        try await store.write { $0.noteSettleFailure(volume, error, at: surroundings.now()) }
      }
    }
  }

  /// What snapshots of a volume its pool has; none where it does not say.
  private func snapshots(of volume: VolumeID, on pool: PoolName) async -> [SnapshotID] {
    guard let inventory = try? await node(pool.node).inventory() else { return [] }
    return inventory.snapshots.filter { $0.volume == volume && PoolName($0, on: pool.node) == pool }.map(\.id).sorted()
  }

  /// Tells the pool what the volume is, which makes every earlier call about it stale. Done when the pool changes nothing about it
  /// any more: it may have to end what it had begun. `nil` for a volume that is not there, which no call can change.
  private func settle(_ volume: Volume, on pool: PoolName) async throws(StorageError) -> Progress? {
    if isLost(pool.node) { return nil }
    var request = try request(volume, on: pool, size: volume.size)
    request.mustExist = true
    do throws(StorageError) {
      return try await node(pool.node).ensureVolume(volume.id, request)
    } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }

  /// What lay on a lost node counts as gone until the node is heard of again.
  func erase(
    _ volume: VolumeID, from pool: PoolName, revision: Revision
  ) async throws(StorageError) -> Progress {
    if isLost(pool.node) { return .complete }
    return try await node(pool.node).removeVolume(
      volume, VolumeRemoval(revision: revision, backend: pool.backend, pool: pool.pool))
  }

  private func request(
    _ volume: Volume, on pool: PoolName, size: ByteCount
  ) throws(StorageError) -> VolumeRequest {
    var request = VolumeRequest(
      revision: volume.revision, backend: pool.backend, pool: pool.pool, size: size,
      description: VolumeDescription(
        name: volume.name, project: volume.project, type: store.tables.types[volume.type]?.name ?? "",
        metadata: volume.metadata))
    request.incarnation = try observation(of: pool.node).incarnation
    return request
  }

  private func log(_ error: StorageError, _ message: Logger.Message, _ volume: Volume) {
    logger.info(
      message,
      metadata: [
        "volume.id": "\(volume.id)", "pool": "\(volume.pool.map(\.description) ?? "")", "error": "\(error)",
      ])
  }
}
