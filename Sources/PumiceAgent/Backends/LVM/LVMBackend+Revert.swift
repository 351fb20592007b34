public import PumiceModel
public import PumiceWire

extension LVMBackend {
  public func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    try require(pool: request.pool)
    if let progress = try await settle(id) { return .underway(progress) }
    let catalog = try await catalog()
    let attempt = "Reverting volume \(id) to snapshot \(request.snapshot)"
    guard let volume = catalog.volume(id) else {
      throw StorageError(.notFound, "\(attempt) failed: the volume is not in volume group \(catalog.group.name).")
    }
    if volume.ourTags?.reverted == request.revision { return .done(try await made(id)) }
    guard let snapshot = catalog.snapshot(request.snapshot), catalog.stored(request.snapshot)?.volume == id else {
      throw StorageError(.notFound, "\(attempt) failed: there is no such snapshot of it.")
    }
    if isThin {
      try await revertThin(id, volume, to: snapshot, request.revision, in: catalog, attempt)
    } else {
      try await beginMerge(id, volume, snapshot, request, attempt)
      if let progress = try await settle(id) { return .underway(progress) }
    }
    return .done(try await made(id))
  }

  /// Ends a revert that was cut off when it could not be taken back any more. `nil` when there is none, or none any more.
  func settle(_ id: VolumeID) async throws(StorageError) -> Progress? {
    let catalog = try await catalog()
    guard let volume = catalog.volume(id) else { return nil }
    if isThin {
      let name = LVMName.volume(id).description
      if volume.name != name { try await lvm.run(.rename(volume.name, to: name)) }
      return nil
    }
    guard catalog.isReverting(volume) else { return nil }
    return try await sources.withLock(id) { () async throws(StorageError) in try await finishMerge(id) }
  }

  /// Throws `unavailable` while a revert takes longer than one call.
  func requireSettled(_ id: VolumeID, _ participle: String) async throws(StorageError) {
    guard let progress = try await settle(id) else { return }
    let percent = Int(progress.done * 100)
    throw StorageError(
      .unavailable, "Volume \(id) can't be \(participle): its revert to a snapshot is at \(percent) % and ends first.")
  }

  // MARK: Thin

  /// Makes a new thin volume of the snapshot's content, and gives it the volume's name.
  ///
  /// Up to the renaming of the old one, nothing has happened. From then on the new one is the volume, under whatever name.
  private func revertThin(
    _ id: VolumeID, _ volume: LogicalVolume, to snapshot: LogicalVolume, _ revision: Revision, in catalog: LVMCatalog,
    _ attempt: String
  ) async throws(StorageError) {
    try requireRoom(in: catalog, attempt)
    let new = LVMName.reverted(id).description
    if catalog.entry(.reverted(id)) != nil { try await lvm.run(.remove(name: new)) }
    var tags = volume.ourTags ?? LVMTags()
    tags.revision = revision
    tags.reverted = revision
    try await lvm.run(
      .createThinSnapshot(name: new, origin: snapshot.name, isReadOnly: false, tags: tags.texts))
    if volume.size > snapshot.size { try await lvm.run(.extend(name: new, to: volume.size)) }

    try await makeInactive(volume, in: catalog.group)
    let old = try await self.catalog().condemnedName(for: .volume(id))
    try await lvm.run(.rename(volume.name, to: old.description), .rename(new, to: volume.name))
    _ = try await wipe { $0 == old }
  }

  // MARK: Thick

  /// Has LVM merge the snapshot into the volume. A merge ends the snapshot, so it is taken anew afterwards.
  ///
  /// It is all or nothing: once it is written down, the volume shows the snapshot's content from its next activation on, and
  /// the kernel copies meanwhile. The volume's tags remember what is to be done after that, and the snapshot's own tags;
  /// nobody can use the volume until it is done (`settle`).
  func beginMerge(
    _ id: VolumeID, _ volume: LogicalVolume, _ snapshot: LogicalVolume, _ request: RevertRequest, _ attempt: String
  ) async throws(StorageError) {
    try await sources.withLock(id) { () async throws(StorageError) in
      var catalog = try await catalog()
      let copies = catalog.copies(from: .snapshot(request.snapshot)) + catalog.copies(from: .volume(id))
      if let copy = copies.first {
        throw StorageError(.inUse, "\(attempt) failed: volume \(copy) is being made from it.")
      }
      // Only an active snapshot shows that it has run full.
      try await activate(volume, in: catalog.group)
      catalog = try await self.catalog(.live)
      let group = catalog.group
      if group[snapshot.name]?.isInvalid == true { throw lost(snapshot.name) }
      try requireRoomForMerge(of: snapshot, in: group, attempt)

      var tags = volume.ourTags ?? LVMTags()
      var kept = snapshot.ourTags ?? LVMTags()
      kept.reversion = nil
      tags.keptSnapshot = kept
      tags.reversion = LVMTags.Reversion(
        snapshot: request.snapshot, revision: request.revision, size: catalog.contentSize(of: snapshot))
      let (add, delete) = tags.changes(from: group[volume.name]?.tags ?? volume.tags)
      bytes.forget(volume.name)
      try await lvm.run(
        .retag(name: volume.name, add: add, delete: delete), .deactivate(name: volume.name),
        .merge(snapshot: snapshot.name))
    }
  }

  /// What the merge writes to the volume is kept by its other snapshots: each needs as much room as the merged one has used.
  private func requireRoomForMerge(
    of snapshot: LogicalVolume, in group: VolumeGroup, _ attempt: String
  ) throws(StorageError) {
    guard configuration.snapshotReserve < 100, let origin = snapshot.origin,
      let used = group[snapshot.name]?.dataPercent
    else { return }
    let bytes = snapshot.size.scaled(by: used / 100)
    for other in group.thickSnapshots(of: origin) where other.name != snapshot.name && !other.isInvalid {
      let room = other.size.scaled(by: 1 - (other.dataPercent ?? 100) / 100)
      guard room < bytes else { continue }
      throw StorageError(
        .noSpace,
        "\(attempt) failed: snapshot \(other.name) has \(room) left to keep what is overwritten, and needs \(bytes). Extend it with lvextend, or delete it."
      )
    }
  }

  /// Goes on with a merge and what comes after it: the snapshot is taken anew, what the volume has grown by since becomes
  /// zeros, and the volume forgets that it was ever reverting. `nil` at the end of it.
  private func finishMerge(_ id: VolumeID) async throws(StorageError) -> Progress? {
    var catalog = try await catalog(.live)
    guard let volume = catalog.volume(id), catalog.isReverting(volume), let reversion = volume.ourTags?.reversion else {
      return nil
    }
    if volume.isMerging {
      try await activate(volume, in: catalog.group)
      let merging = try await lvm.group(.live).thickSnapshots(of: volume.name).first(where: \.isMerging)
      if let left = merging?.dataPercent, left > 0 { return progress(of: volume.name, left: left) }
      bytes.forget(Self.merge(volume.name))
    }
    if catalog.snapshot(reversion.snapshot) == nil { try await takeAnew(volume, reversion, in: catalog) }

    catalog = try await self.catalog()
    guard let merged = catalog.volume(id), var tags = merged.ourTags else { return nil }
    if let progress = try await zeroTail(merged, from: reversion.size, in: catalog.group) { return progress }
    tags.reversion = nil
    tags.keptSnapshot = nil
    tags.revision = max(reversion.revision, tags.revision)
    tags.reverted = reversion.revision
    let (add, delete) = tags.changes(from: merged.tags)
    try await lvm.run(.deactivate(name: merged.name), .retag(name: merged.name, add: add, delete: delete))
    bytes.forget(merged.name)
    return nil
  }

  /// How full the merged snapshot is falls to 0 as it is written back (lvs(8), "snap_percent").
  private func progress(of name: String, left: Double) -> Progress {
    let permille = Int64((left * 10).rounded(.up))
    let begin = max(permille, bytes.position(of: Self.merge(name), noted: .zero))
    bytes.set(Self.merge(name), begin)
    return Progress(done: 0.9 * (1 - Double(permille) / Double(begin)))
  }

  private static func merge(_ name: String) -> String { "merge of \(name)" }

  private func takeAnew(
    _ volume: LogicalVolume, _ reversion: LVMTags.Reversion, in catalog: LVMCatalog
  ) async throws(StorageError) {
    guard var kept = volume.ourTags?.keptSnapshot else {
      throw StorageError(.failed, "\(volume.name) does not remember the snapshot that was merged into it.")
    }
    kept.reversion = reversion
    kept.size = reversion.size
    let name = LVMName.snapshot(reversion.snapshot)
    let snapshot = LVMCommand.createThickSnapshot(
      name: name.description, origin: volume.name, room: roomForSnapshot(of: volume), tags: kept.texts)
    if volume.isMerging {
      // In one go, so that nobody gets the room that the merged one gives back.
      try await lvm.run(.finishMerge(origin: volume.name), snapshot)
    } else {
      if let half = catalog.entry(name) { try await condemn(half, name) }
      try await lvm.run(snapshot)
    }
  }

  private func zeroTail(
    _ volume: LogicalVolume, from size: ByteCount, in group: VolumeGroup
  ) async throws(StorageError) -> Progress? {
    guard volume.size > size else { return nil }
    try await activate(volume, in: group)
    let path = group.path(of: volume.name)
    let position = try await bytes.advance(volume.name, from: size, to: volume.size.bytes) {
      range async throws(StorageError) in try await devices.zero(range, of: path)
    }
    if position < volume.size.bytes {
      return Progress(done: 0.9 + 0.09 * Double(position) / Double(volume.size.bytes))
    }
    try await devices.flush(path)
    return nil
  }
}
