public import PumiceModel
public import PumiceWire

extension LVMBackend {
  public func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<StoredVolume> {
    try require(pool: request.pool)
    guard request.size > .zero else {
      throw .invalid("size", "of volume \(id) must be positive; it is \(request.size).")
    }
    if let progress = try await settle(id) { return .underway(progress) }
    let catalog = try await catalog()
    try requireNoForeign(.volume(id), in: catalog)
    if let volume = catalog.volume(id) { return try await update(id, volume, request, in: catalog) }

    let attempt = "Making volume \(id)"
    let size = catalog.group.roundedUp(request.size)
    try requireAddressable(request.size, in: catalog.group, attempt)
    if let source = request.source?.volume, source != id, let progress = try await settle(source) {
      // Its revert comes first.
      return .underway(Progress(done: progress.done / 100))
    }
    if isThin {
      try requireRoom(in: catalog, attempt)
      let made = try await lvm.whenThereIsRoom { () async throws(StorageError) in
        try await makeThin(id, request, size, in: try await self.catalog())
      }
      return made.map { .done($0) } ?? .underway(Progress(done: 0))
    }
    return try await copies.withLock(id) { () async throws(StorageError) in
      try await makeThick(id, request, size)
    }
  }

  // MARK: New thin volumes

  /// One command, after which the volume is whole; only a copy that is larger than its source takes three.
  private func makeThin(
    _ id: VolumeID, _ request: VolumeRequest, _ size: ByteCount, in catalog: LVMCatalog
  ) async throws(StorageError) -> StoredVolume {
    let (final, making) = (LVMName.volume(id).description, LVMName.making(id).description)
    let tags = Self.tags(for: request).texts
    if catalog.entry(.making(id)) != nil { try await lvm.run(.remove(name: making)) }
    if let source = request.source {
      let origin = try thinSource(source, of: id, in: catalog)
      try require(request.size, toHold: catalog.contentSize(of: origin), of: id)
      if size <= origin.size {
        try await lvm.run(.createThinSnapshot(name: final, origin: origin.name, isReadOnly: false, tags: tags))
      } else {
        try await lvm.run(
          .createThinSnapshot(name: making, origin: origin.name, isReadOnly: false, tags: tags),
          .extend(name: making, to: size), .rename(making, to: final))
      }
    } else {
      try await lvm.run(.createThin(name: final, pool: configuration.thinPool, size: size, tags: tags))
    }
    return try await made(id)
  }

  private func thinSource(
    _ source: VolumeSource, of id: VolumeID, in catalog: LVMCatalog
  ) throws(StorageError) -> LogicalVolume {
    let origin: LogicalVolume? =
      switch source {
      case .snapshot(let snapshot, _): catalog.snapshot(snapshot)
      case .volume(let volume): catalog.volume(volume)
      }
    guard let origin else { throw missing(source, of: id, in: catalog.group) }
    return origin
  }

  func missing(_ source: VolumeSource, of id: VolumeID, in group: VolumeGroup) -> StorageError {
    let text =
      switch source {
      case .snapshot(let snapshot, let volume): "snapshot \(snapshot) of volume \(volume)"
      case .volume(let volume): "volume \(volume)"
      }
    return StorageError(
      .notFound, "Volume \(id) can't be made from \(text): that is not in volume group \(group.name).")
  }

  /// What a volume says about itself from now on.
  static func tags(for request: VolumeRequest, created: Timestamp? = now) -> LVMTags {
    var tags = LVMTags()
    tags.revision = request.revision
    tags.size = request.size
    tags.created = created
    tags.description = request.description
    return tags
  }

  func made(_ id: VolumeID) async throws(StorageError) -> StoredVolume {
    guard let stored = try await catalog().stored(id) else {
      throw StorageError(.failed, "Volume \(id) was made, but it is not in its volume group afterwards.")
    }
    return stored
  }

  // MARK: Volumes that are there

  private func update(
    _ id: VolumeID, _ volume: LogicalVolume, _ request: VolumeRequest, in catalog: LVMCatalog
  ) async throws(StorageError) -> Work<StoredVolume> {
    // What a copy has left that was cut off at its very end.
    if catalog.entry(.source(id)) != nil { try await endCopy(to: id) }
    let size = catalog.group.roundedUp(request.size)
    if size > volume.size {
      let attempt = "Extending volume \(id) from \(volume.size) to \(size)"
      try requireAddressable(request.size, in: catalog.group, attempt)
      try requireRoom(in: catalog, attempt)
      if isThin {
        try await lvm.run(.extend(name: volume.name, to: size))
      } else if case .underway(let progress) = try await growThick(id, volume, to: size) {
        return .underway(progress)
      }
    }
    // Only now: the revision says that what it asks for has been done.
    try await describe(volume, request)
    return .done(try await made(id))
  }

  private func describe(_ volume: LogicalVolume, _ request: VolumeRequest) async throws(StorageError) {
    let present = volume.ourTags
    var tags = Self.tags(for: request, created: present?.created)
    tags.size = max(request.size, present?.size ?? .zero)
    tags.reverted = present?.reverted
    let (add, delete) = tags.changes(from: volume.tags)
    if add.isEmpty && delete.isEmpty { return }
    try await lvm.run(.retag(name: volume.name, add: add, delete: delete))
  }

  func require(_ size: ByteCount, toHold content: ByteCount, of id: VolumeID) throws(StorageError) {
    guard size < content else { return }
    throw .invalid("size", "of volume \(id) must be at least that of its source, \(content); it is \(size).")
  }
}
