public import PumiceModel
public import PumiceWire

/// Removal: in one renaming, what is removed becomes bytes that are nobody's any more; then these are wiped, in slices, and
/// freed. What nobody asks for goes on in the background (`LVMBackend.run`).
extension LVMBackend {
  public func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try require(pool: pool)
    try await requireSettled(id, "removed")
    var catalog = try await catalog()
    if let volume = catalog.volume(id) { try requireUnused(id, volume, in: catalog) }
    try await copies.withLock(id) { () async throws(StorageError) in try await giveUp(id) }
    if catalog.volume(id) != nil {
      try await sources.withLock(id) { () async throws(StorageError) in
        catalog = try await self.catalog()
        guard let volume = catalog.volume(id) else { return }
        try requireUnused(id, volume, in: catalog)
        try await condemn(volume, .volume(id))
      }
    }
    return try await wipe { if case .deletingVolume(id, _) = $0 { true } else { false } }
  }

  /// Takes away what is half-made of a volume.
  func giveUp(_ id: VolumeID) async throws(StorageError) {
    for name in [LVMName.making(id), .growing(id), .reverted(id)] {
      if let half = try await catalog().entry(name) { try await condemn(half, name) }
    }
    if !isThin { try await endCopy(to: id) }
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool
  ) async throws(StorageError) -> Progress {
    try require(pool: pool)
    if let progress = try await settle(volume) { return Progress(done: progress.done / 100) }
    try await sources.withLock(volume) { () async throws(StorageError) in
      let catalog = try await catalog()
      if let copy = catalog.copies(from: .snapshot(id)).first {
        throw StorageError(.inUse, "Snapshot \(id) can't be removed: volume \(copy) is being made from it.")
      }
      if let snapshot = catalog.entry(.snapshot(id)) {
        try await forgetReversion(to: id, of: volume, in: catalog)
        try await condemn(snapshot, .snapshot(id))
      }
    }
    return try await wipe { if case .deletingSnapshot(id, _) = $0 { true } else { false } }
  }

  /// Has the volume forget a revert to this snapshot that was cut off before its merge began: without the snapshot it would
  /// look like one whose merge has ended, after which the snapshot is taken anew.
  private func forgetReversion(
    to id: SnapshotID, of volume: VolumeID, in catalog: LVMCatalog
  ) async throws(StorageError) {
    guard let present = catalog.volume(volume), !catalog.isReverting(present), var tags = present.ourTags,
      tags.reversion?.snapshot == id
    else { return }
    tags.reversion = nil
    tags.keptSnapshot = nil
    let (add, delete) = tags.changes(from: present.tags)
    try await lvm.run(.retag(name: present.name, add: add, delete: delete))
  }

  private func requireUnused(
    _ id: VolumeID, _ volume: LogicalVolume, in catalog: LVMCatalog
  ) throws(StorageError) {
    let snapshots = catalog.snapshots(of: id)
    if let first = snapshots.first {
      throw StorageError(
        .inUse, "Volume \(id) can't be removed: it has \(snapshots.count) snapshots, such as \(first.id).")
    }
    if let copy = catalog.copies(from: .volume(id)).first {
      throw StorageError(.inUse, "Volume \(id) can't be removed: volume \(copy) is being made from it.")
    }
    if let other = catalog.group.thickSnapshots(of: volume.name).first(where: { !$0.isOurs }) {
      throw StorageError(
        .inUse,
        "Volume \(id) can't be removed: \(catalog.group.name)/\(other.name) is a snapshot of it, and not Pumice's.")
    }
  }

  // MARK: Bytes

  /// Whether the bytes of a removed logical volume are to be looked after, before LVM may give them to somebody else.
  private func needsWiping(_ volume: LogicalVolume) -> Bool {
    switch (configuration.wipe, volume.kind) {
    case (.none, _): false
    case (.zero, .thin): false  // The pool zeroes chunks before it gives them to anybody (lvmthin(7), "Zeroing").
    case (.zero, _), (.discard, _): true
    }
  }

  /// Makes a logical volume of ours only bytes: from then on it is neither volume nor snapshot.
  func condemn(_ volume: LogicalVolume, _ name: LVMName) async throws(StorageError) {
    bytes.forget(volume.name)
    guard needsWiping(volume) else { return try await lvm.run(.remove(name: volume.name)) }
    if volume.kind == .thickSnapshot {
      // What a thick snapshot has kept lies in extents that would go with it (CVE-2013-4183). LVM splits none that is open.
      try await lvm.run(.split(snapshot: volume.name))
    } else {
      try await makeInactive(volume, in: try await lvm.group(.known))
    }
    let catalog = try await catalog()
    guard let plain = catalog.entry(name) else { return }
    let bytesName = catalog.condemnedName(for: name).description
    bytes.forget(bytesName)
    if var tags = plain.ourTags, tags.position > .zero {
      // How far a copy had come. Left there, it would say that so much has been wiped.
      tags.position = .zero
      let (add, delete) = tags.changes(from: plain.tags)
      try await lvm.run(.retag(name: plain.name, add: add, delete: delete))
    }
    try await lvm.run(.rename(plain.name, to: bytesName))
  }

  /// Wipes a slice of these bytes, and frees them when all are done.
  func wipe(_ isWanted: (LVMName) -> Bool) async throws(StorageError) -> Progress {
    let catalog = try await catalog()
    let condemned = catalog.condemned(isWanted)
    var done: Int64 = 0
    var total: Int64 = 0
    var isBusy = false
    for volume in condemned {
      bytes.ask(volume.name)
      total += volume.size.bytes
      let noted = volume.ourTags?.position ?? .zero
      // One of them gets the slice.
      if isBusy {
        done += bytes.position(of: volume.name, noted: noted)
      } else {
        let position = try await wipe(volume, from: noted, in: catalog.group)
        isBusy = position < volume.size.bytes
        done += position
      }
    }
    guard done == total else { return Progress(done: Double(done) / Double(total)) }
    for volume in condemned {
      try await lvm.run(.remove(name: volume.name))
      bytes.forget(volume.name)
    }
    return .complete
  }

  private func wipe(
    _ volume: LogicalVolume, from noted: ByteCount, in group: VolumeGroup
  ) async throws(StorageError) -> Int64 {
    let end = volume.size.bytes
    guard needsWiping(volume), bytes.position(of: volume.name, noted: noted) < end else { return end }
    try await activate(volume, in: group)
    let path = group.path(of: volume.name)
    let position = try await bytes.advance(volume.name, from: noted, to: end) { range async throws(StorageError) in
      switch configuration.wipe {
      case .zero, .none: try await devices.zero(range, of: path)
      case .discard: try await discard(range, of: volume, path)
      }
    }
    if position == end {
      try await devices.flush(path)
    } else {
      try await note(volume, position)
    }
    return position
  }

  /// Where the disks below have no use for it, what is thick is zeroed instead. Thin chunks are the pool's to zero.
  private func discard(
    _ range: Range<Int64>, of volume: LogicalVolume, _ path: String
  ) async throws(StorageError) {
    do throws(StorageError) {
      try await devices.discard(range, of: path)
    } catch  where error.code == .unsupported {
      if volume.kind != .thin { try await devices.zero(range, of: path) }
    }
  }
}
