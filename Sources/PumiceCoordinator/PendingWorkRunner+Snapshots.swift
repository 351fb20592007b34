import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

extension PendingWorkRunner {
  func perform(_ work: Snapshot.PendingWork, of snapshot: Snapshot) async throws {
    let (policy, surroundings) = (policy, surroundings)
    do {
      switch work {
      case .take:
        let hold = try await GuestHold.begin(for: snapshot, by: self)
        let outcome: Result<Progress, StorageError>
        do throws(StorageError) {
          outcome = .success(try await ask(for: snapshot))
        } catch {
          outcome = .failure(error)
        }
        let (isQuiesced, reason) = await hold.end(by: self)
        let progress = try outcome.get()
        try await store.write { tables in
          if progress.isComplete {
            try tables.confirm(snapshot, quiesced: isQuiesced, because: reason, at: surroundings.now())
          } else {
            tables.noteProgress(snapshot, progress.done, at: surroundings.now())
          }
        }
      case .erase(let pool):
        let progress = try await erase(
          snapshot.id, of: snapshot.volume, from: pool, revision: snapshot.revision)
        try await store.write { try $0.confirmErased(snapshot, wiped: progress.done, at: surroundings.now()) }
      }
    } catch let error as StorageError {
      logger.info(
        "A step of a snapshot failed",
        metadata: [
          "snapshot.id": "\(snapshot.id)", "volume.id": "\(snapshot.volume)", "step": "\(work)", "error": "\(error)",
        ])
      try await store.write { tables in
        switch work {
        case .take:
          try tables.noteTakeFailure(snapshot, error, policy: policy, at: surroundings.now(), in: surroundings)
        case .erase:
          tables.noteEraseFailure(snapshot, error, at: surroundings.now())
        }
      }
    }
  }

  /// One call to the snapshot's pool to have it.
  func ask(for snapshot: Snapshot) async throws(StorageError) -> Progress {
    let pool = snapshot.pool
    return try await followed(by: snapshot.volume, try request(snapshot, on: pool)) { request throws(StorageError) in
      try await node(pool.node).ensureSnapshot(snapshot.id, request)
    }
  }

  func erase(
    _ snapshot: SnapshotID, of volume: VolumeID, from pool: PoolName, revision: Revision
  ) async throws(StorageError) -> Progress {
    if isLost(pool.node) { return .complete }
    let removal = SnapshotRemoval(revision: revision, volume: volume, backend: pool.backend, pool: pool.pool)
    let node = try node(pool.node)
    return try await followed(by: volume, removal) { request throws(StorageError) in
      try await node.removeSnapshot(snapshot, request)
    }
  }

  func erase(_ residue: Residue) async throws {
    let surroundings = surroundings
    let (key, revision) = (residue.key, residue.revision)
    do {
      let progress =
        if let snapshot = key.snapshot {
          try await erase(snapshot, of: key.volume, from: key.pool, revision: revision)
        } else {
          try await erase(key.volume, from: key.pool, revision: revision)
        }
      try await store.write { tables in
        if progress.isComplete {
          tables.confirmErased(residue)
        } else {
          tables.noteProgress(residue, progress.done, at: surroundings.now())
        }
      }
    } catch let error as StorageError {
      logger.info(
        "Leavings could not be erased yet",
        metadata: [
          "volume.id": "\(key.volume)", "snapshot.id": "\(key.snapshot?.description ?? "")", "pool": "\(key.pool)",
          "error": "\(error)",
        ])
      try await store.write { $0.noteFailure(residue, error, at: surroundings.now()) }
    }
  }

  private func request(_ snapshot: Snapshot, on pool: PoolName) throws(StorageError) -> SnapshotRequest {
    var request = SnapshotRequest(
      revision: snapshot.revision, volume: snapshot.volume, backend: pool.backend, pool: pool.pool,
      description: VolumeDescription(
        name: snapshot.name, project: snapshot.project, type: store.tables.types[snapshot.type]?.name ?? "",
        metadata: snapshot.metadata))
    request.incarnation = try observation(of: pool.node).incarnation
    return request
  }
}
