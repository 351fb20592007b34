import Logging
import PumiceModel
import PumiceWire

/// Thick volumes: their bytes are in order before they are theirs. New extents may hold anybody's old bytes, so they are
/// zeroed, or copied over, in a logical volume that is none yet.
extension LVMBackend {
  /// How often the position of long work is written down, so that it need not begin anew after a crash.
  private static let notes = Duration.seconds(30)

  func makeThick(
    _ id: VolumeID, _ request: VolumeRequest, _ size: ByteCount
  ) async throws(StorageError) -> Work<StoredVolume> {
    let name = LVMName.making(id)
    bytes.ask(name.description)
    let source = try await begin(id, request, size)
    let catalog = try await catalog()
    guard let making = catalog.entry(name) else {
      throw StorageError(.unavailable, "\(catalog.group.name)/\(name) is gone, and volume \(id) with it.")
    }
    let end = making.size.bytes
    let position = try await fill(making, from: source, in: catalog)
    guard position == end else { return .underway(Progress(done: Double(position) / Double(end))) }

    try await devices.flush(catalog.group.path(of: making.name))
    try await lvm.run(.deactivate(name: making.name))
    let (add, delete) = Self.tags(for: request, created: making.ourTags?.created).changes(from: making.tags)
    if !add.isEmpty || !delete.isEmpty { try await lvm.run(.retag(name: making.name, add: add, delete: delete)) }
    try await lvm.run(.rename(making.name, to: LVMName.volume(id).description))
    bytes.forget(making.name)
    try await endCopy(to: id)
    return .done(try await made(id))
  }

  /// Makes the logical volume that becomes this volume, and the snapshot that it is a copy of; goes on with one that was
  /// begun for the same request. Returns what to copy.
  private func begin(
    _ id: VolumeID, _ request: VolumeRequest, _ size: ByteCount
  ) async throws(StorageError) -> LogicalVolume? {
    let name = LVMName.making(id)
    if let begun = try await catalog().entry(name), let tags = begun.ourTags,
      tags.source != request.source || begun.size < size
    {
      try await giveUp(id)
    }
    guard let source = request.source else {
      let catalog = try await catalog()
      if catalog.entry(name) == nil { try await createMaking(id, request, size, in: catalog) }
      return nil
    }
    return try await sources.withLock(source.volume) { () async throws(StorageError) in
      let copied =
        switch source {
        case .snapshot(let snapshot, _): try await beginCopy(of: snapshot, to: id, request, size)
        case .volume(let volume): try await beginCopy(of: volume, to: id, request, size)
        }
      let group = try await lvm.group(.known)
      guard let origin = copied.origin.flatMap({ group[$0] }) else { throw missing(source, of: id, in: group) }
      holds.hold(origin.name, .copy(name))
      try await activate(origin, in: group)
      // A snapshot shows only while it is active that it has run full.
      guard let now = try await lvm.group(.live)[copied.name], now.isInvalid else { return copied }
      if case .snapshot = source { throw lost(copied.name) }
      try await giveUp(id)
      throw StorageError(
        .unavailable,
        "Making volume \(id) begins anew: its source was written to more than its snapshot could keep (snapshot_reserve)."
      )
    }
  }

  private func beginCopy(
    of snapshot: SnapshotID, to id: VolumeID, _ request: VolumeRequest, _ size: ByteCount
  ) async throws(StorageError) -> LogicalVolume {
    let catalog = try await catalog()
    guard let copied = catalog.snapshot(snapshot) else {
      throw missing(request.source ?? .volume(id), of: id, in: catalog.group)
    }
    try require(request.size, toHold: catalog.contentSize(of: copied), of: id)
    if catalog.entry(.making(id)) == nil { try await createMaking(id, request, size, in: catalog) }
    return copied
  }

  private func beginCopy(
    of volume: VolumeID, to id: VolumeID, _ request: VolumeRequest, _ size: ByteCount
  ) async throws(StorageError) -> LogicalVolume {
    var catalog = try await catalog()
    if let moment = catalog.entry(.source(id)), moment.kind == .thickSnapshot, catalog.entry(.making(id)) != nil {
      return moment
    }
    // Without the moment that it is a copy of, what has been copied is worth nothing.
    try await giveUp(id)
    catalog = try await self.catalog()
    guard let origin = catalog.volume(volume) else { throw missing(.volume(volume), of: id, in: catalog.group) }
    try require(request.size, toHold: origin.size, of: id)
    try await createMaking(id, request, size, in: catalog)
    var tags = LVMTags()
    tags.volume = volume
    do throws(StorageError) {
      holds.hold(origin.name, .copy(.making(id)))
      try await activate(origin, in: catalog.group)
      try await lvm.run(
        .createThickSnapshot(
          name: LVMName.source(id).description, origin: origin.name, room: roomForSnapshot(of: origin), tags: tags.texts
        ))
    } catch {
      // Nothing was written to it yet.
      try? await lvm.run(.remove(name: LVMName.making(id).description))
      try? await endCopy(to: id)
      throw error
    }
    guard let moment = try await self.catalog().entry(.source(id)) else {
      throw missing(.volume(volume), of: id, in: catalog.group)
    }
    return moment
  }

  private func createMaking(
    _ id: VolumeID, _ request: VolumeRequest, _ size: ByteCount, in catalog: LVMCatalog
  ) async throws(StorageError) {
    let name = LVMName.making(id).description
    try requireRoom(in: catalog, "Making volume \(id)")
    var tags = Self.tags(for: request)
    tags.source = request.source
    bytes.forget(name)
    bytes.ask(name)
    try await lvm.run(.createThick(name: name, size: size, tags: tags.texts))
  }

  func lost(_ snapshot: String) -> StorageError {
    StorageError(
      .failed,
      "Snapshot \(configuration.volumeGroup)/\(snapshot) ran full while its volume was written to, and what it held is lost. Delete it."
    )
  }

  /// Brings a slice of bytes in order. Returns how far all are.
  private func fill(
    _ making: LogicalVolume, from source: LogicalVolume?, in catalog: LVMCatalog
  ) async throws(StorageError) -> Int64 {
    let group = catalog.group
    try await activate(making, in: group)
    let target = group.path(of: making.name)
    let origin = source.map { (path: group.path(of: $0.name), size: catalog.contentSize(of: $0).bytes) }
    let noted = making.ourTags?.position ?? .zero
    let position = try await bytes.advance(making.name, from: noted, to: making.size.bytes) {
      range async throws(StorageError) in
      guard let origin, range.lowerBound < origin.size else { return try await devices.zero(range, of: target) }
      let copied = range.lowerBound..<min(range.upperBound, origin.size)
      try await devices.copy(copied, from: origin.path, to: target)
      if copied.upperBound < range.upperBound {
        try await devices.zero(copied.upperBound..<range.upperBound, of: target)
      }
    }
    // Zeroing begins anew after a crash: such leavings are swept.
    if source != nil { try await note(making, position) }
    return position
  }

  /// Writes the position down, when it has been long enough.
  func note(_ volume: LogicalVolume, _ position: Int64) async throws(StorageError) {
    guard bytes.shouldNote(volume.name, every: Self.notes), let group = try? await lvm.group(.known),
      let now = group[volume.name], var tags = now.ourTags
    else { return }
    // Tags shall not say more than the disk.
    try await devices.flush(group.path(of: volume.name))
    tags.position = ByteCount(position)
    let (add, delete) = tags.changes(from: now.tags)
    try await lvm.run(.retag(name: volume.name, add: add, delete: delete))
    bytes.wasNoted(volume.name)
  }

  /// Lets go of the source, and takes away the snapshot that only this copy needed.
  func endCopy(to id: VolumeID) async throws(StorageError) {
    if let source = try await catalog().entry(.source(id)) { try await condemn(source, .source(id)) }
    let group = try await lvm.group(.known)
    for name in holds.names(heldBy: .copy(.making(id))) {
      guard let origin = group[name] else {
        _ = holds.release(name, .copy(.making(id)))
        continue
      }
      do throws(StorageError) {
        try await release(origin, .copy(.making(id)), in: group)
      } catch {
        // It is open after all, so it is somebody's to deactivate.
        logger.debug("source stays active", metadata: ["lvm.lv": "\(name)", "error": "\(error)"])
      }
    }
  }

  // MARK: Growth

  /// Zeroes extents as a logical volume of their own, then gives just those to the volume: at no moment does it show
  /// anything but zeros behind its old end, whoever has it open.
  func growThick(
    _ id: VolumeID, _ volume: LogicalVolume, to size: ByteCount
  ) async throws(StorageError) -> Work<Void> {
    let name = LVMName.growing(id)
    let step = size - volume.size
    var catalog = try await catalog()
    let hasSnapshots = !catalog.group.thickSnapshots(of: volume.name).isEmpty
    if hasSnapshots { try await makeExtensible(id, volume, in: catalog.group) }
    if let begun = catalog.entry(name), begun.size != step { try await lvm.run(.remove(name: begun.name)) }
    catalog = try await self.catalog()
    if catalog.entry(name) == nil {
      try await lvm.run(.createThick(name: name.description, size: step, tags: [LVMTags.mark]))
      bytes.forget(name.description)
    }
    guard let growing = try await self.catalog().entry(name) else {
      throw StorageError(.unavailable, "\(catalog.group.name)/\(name) is gone.")
    }
    try await activate(growing, in: catalog.group)
    let path = catalog.group.path(of: growing.name)
    let position = try await bytes.advance(growing.name, from: .zero, to: step.bytes) {
      range async throws(StorageError) in try await devices.zero(range, of: path)
    }
    guard position == step.bytes else { return .underway(Progress(done: Double(position) / Double(step.bytes))) }
    try await devices.flush(path)
    let extents = try await lvm.extents(of: growing.name)
    bytes.forget(growing.name)
    try await lvm.run(.remove(name: growing.name), .extend(name: volume.name, to: size, onto: extents))
    return .done(())
  }

  /// LVM extends an origin only while it is inactive (lvextend(8)).
  private func makeExtensible(
    _ id: VolumeID, _ volume: LogicalVolume, in group: VolumeGroup
  ) async throws(StorageError) {
    func refusal(_ cause: StorageError?) -> StorageError {
      StorageError(
        .unsupported,
        "Extending volume \(id) failed: LVM extends a thick volume that has snapshots only while nobody has it open. Detach it, or delete its snapshots.",
        cause: cause)
    }
    if holds.isHeld(volume.name) { throw refusal(nil) }
    do throws(StorageError) {
      try await makeInactive(volume, in: group)
    } catch  where error.code == .inUse {
      throw refusal(error)
    }
  }
}
