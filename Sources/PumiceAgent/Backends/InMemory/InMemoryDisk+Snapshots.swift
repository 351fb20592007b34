public import PumiceModel
import PumiceWire
import Synchronization

extension InMemoryDisk {
  /// Ids of every snapshot that is there, half-made leavings included, in their order.
  public var snapshotContents: [SnapshotID] { state.withLock { $0.snapshots.keys.sorted() } }

  /// Every whole snapshot, in the order of their ids.
  public var snapshots: [(id: SnapshotID, volume: VolumeID, pool: String, size: ByteCount, content: Content)] {
    snapshotEntries.compactMap { id, entry in
      entry.isWhole ? (id, entry.volume, entry.pool, entry.size, entry.content) : nil
    }
  }

  /// As if it had never been taken: for a test that wants to see this noticed.
  public func lose(_ id: SnapshotID) { state.withLock { _ = $0.snapshots.removeValue(forKey: id) } }

  func snapshotEntry(_ id: SnapshotID) -> SnapshotEntry? { state.withLock { $0.snapshots[id] } }

  var snapshotEntries: [(SnapshotID, SnapshotEntry)] {
    state.withLock { state in state.snapshots.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
  }

  /// Takes the volume's content of this moment, and space for it, as a leaving. One that is there stays as it is.
  func begin(_ id: SnapshotID, _ request: SnapshotRequest, takesSpace: Bool) throws(StorageError) {
    try state.withLock { state throws(StorageError) in
      if let existing = state.snapshots[id] {
        guard existing.volume == request.volume, existing.pool == request.pool else {
          throw StorageError(
            .conflict,
            "Snapshot \(id) is one of volume \(existing.volume) on pool \(existing.pool), so it can't be one of volume "
              + "\(request.volume) on pool \(request.pool).")
        }
        return
      }
      guard let volume = state.volumes[request.volume], volume.isWhole, volume.pool == request.pool else {
        throw StorageError(
          .notFound,
          "Snapshot \(id) can't be taken: volume \(request.volume) is not on pool \(request.pool).")
      }
      try require(volume.size, for: "snapshot \(id)", of: request.pool, state, takesSpace: takesSpace)
      if takesSpace { state.used[request.pool, default: .zero] += volume.size }
      state.snapshots[id] = SnapshotEntry(
        volume: request.volume, pool: request.pool, size: volume.size, revision: request.revision,
        description: request.description, content: volume.content, isWhole: false)
    }
  }

  func finish(_ id: SnapshotID) { state.withLock { $0.snapshots[id]?.isWhole = true } }

  /// Makes it a leaving.
  func unmake(_ id: SnapshotID, pool: String) {
    state.withLock { if $0.snapshots[id]?.pool == pool { $0.snapshots[id]?.isWhole = false } }
  }

  func erase(_ id: SnapshotID, pool: String, givesSpace: Bool) {
    state.withLock { state in
      guard let entry = state.snapshots[id], entry.pool == pool else { return }
      state.snapshots[id] = nil
      if givesSpace { state.used[pool, default: .zero] -= entry.size }
    }
  }

  /// Whether the volume has been reverted under this revision. Throws `notFound` without volume or snapshot.
  func isReverted(_ id: VolumeID, _ request: RevertRequest) throws(StorageError) -> Bool {
    try state.withLock { state throws(StorageError) in
      guard let volume = state.volumes[id], volume.isWhole, volume.pool == request.pool else {
        throw StorageError(
          .notFound, "Volume \(id) can't be reverted: it is not on pool \(request.pool).")
      }
      if volume.reverted == request.revision { return true }
      guard let snapshot = state.snapshots[request.snapshot], snapshot.isWhole, snapshot.volume == id else {
        throw StorageError(
          .notFound, "Volume \(id) can't be reverted: it has no snapshot \(request.snapshot) on pool \(request.pool).")
      }
      return false
    }
  }

  func revert(_ id: VolumeID, _ request: RevertRequest) {
    state.withLock { state in
      guard let snapshot = state.snapshots[request.snapshot], var volume = state.volumes[id] else { return }
      volume.content = snapshot.content
      volume.revision = max(volume.revision, request.revision)
      volume.reverted = request.revision
      state.volumes[id] = volume
    }
  }
}

extension InMemoryDisk.State {
  /// What a new volume begins with.
  func content(for id: VolumeID, _ request: VolumeRequest) throws(StorageError) -> InMemoryDisk.Content {
    let source: (name: String, size: ByteCount, content: InMemoryDisk.Content)
    switch request.source {
    case nil: return .zeros
    case .snapshot(let snapshot, let volume):
      guard let entry = snapshots[snapshot], entry.isWhole, entry.volume == volume, entry.pool == request.pool else {
        throw StorageError(
          .notFound,
          "Volume \(id) can't be made from snapshot \(snapshot) of volume \(volume): that is not on pool \(request.pool)."
        )
      }
      source = ("snapshot \(snapshot)", entry.size, entry.content)
    case .volume(let volume):
      guard let entry = volumes[volume], entry.isWhole, entry.pool == request.pool else {
        throw StorageError(
          .notFound, "Volume \(id) can't be made from volume \(volume): that is not on pool \(request.pool).")
      }
      source = ("volume \(volume)", entry.size, entry.content)
    }
    guard request.size >= source.size else {
      throw .invalid(
        "size", "of volume \(id) must be at least that of \(source.name), \(source.size); it is \(request.size).")
    }
    return source.content
  }
}
