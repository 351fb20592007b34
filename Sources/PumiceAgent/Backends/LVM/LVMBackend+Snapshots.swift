public import PumiceModel
public import PumiceWire

extension LVMBackend {
  /// A thin snapshot is a thin volume that shares its chunks; it is read-only. A thick one keeps what its volume overwrites
  /// from now on, in room of its own. Both are taken in an instant, whoever is writing: LVM holds writes back meanwhile.
  public func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    try require(pool: request.pool)
    if let progress = try await settle(request.volume) { return .underway(progress) }
    let name = LVMName.snapshot(id)
    let catalog = try await catalog()
    if let stored = catalog.snapshots.first(where: { $0.id == id }) {
      guard stored.volume == request.volume else {
        throw StorageError(
          .conflict, "Snapshot \(id) is one of volume \(stored.volume), so it can't be one of \(request.volume).")
      }
      return .done(stored)
    }
    let attempt = "Taking snapshot \(id) of volume \(request.volume)"
    try requireNoForeign(name, in: catalog)
    guard let volume = catalog.volume(request.volume) else {
      throw StorageError(.notFound, "\(attempt) failed: the volume is not in volume group \(catalog.group.name).")
    }
    if let half = catalog.entry(name) { try await condemn(half, name) }
    try requireRoom(in: catalog, attempt)

    let tags = Self.tags(for: request, size: volume.size).texts
    if isThin {
      try await lvm.run(
        .createThinSnapshot(name: name.description, origin: volume.name, isReadOnly: true, tags: tags))
    } else {
      try await lvm.run(
        .createThickSnapshot(
          name: name.description, origin: volume.name, room: roomForSnapshot(of: volume), tags: tags))
    }
    guard let stored = try await self.catalog().stored(id) else {
      throw StorageError(.failed, "Snapshot \(id) was taken, but it is not in its volume group afterwards.")
    }
    return .done(stored)
  }

  /// What a snapshot needs that shall keep `snapshot_reserve` percent of its volume: those chunks, a header, and tables with
  /// 16 bytes for each, of which one is always written ahead (drivers/md/dm-snap-persistent.c).
  func roomForSnapshot(of volume: LogicalVolume) -> ByteCount {
    let chunk = LVMCommand.snapshotChunk.bytes
    func chunks(_ bytes: Int64) -> Int64 { (bytes + chunk - 1) / chunk }
    let kept = chunks(volume.size.scaled(by: Double(configuration.snapshotReserve) / 100).bytes)
    return ByteCount((kept + chunks(kept * 16) + 2) * chunk)
  }

  private static func tags(for request: SnapshotRequest, size: ByteCount) -> LVMTags {
    var tags = LVMTags()
    tags.size = size
    tags.revision = request.revision
    tags.created = now
    tags.volume = request.volume
    tags.description = request.description
    return tags
  }
}
