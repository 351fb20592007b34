import PumiceModel
import PumiceWire

extension ShareVolumes {
  /// Makes the volume, or makes it larger, and writes down what the request says about it.
  func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<NFSVolume> {
    guard request.size > .zero else {
      throw .invalid("size", "of volume \(id) must be positive; it is \(request.size).")
    }
    let present = try await load(id)
    if let present, present.isLeaving == true {
      throw StorageError(.busy, "Volume \(id) can't be made: what was there under its name is still being erased.")
    }
    if let present, present.isWhole { return .done(try await update(present, request, use)) }
    do throws(StorageError) {
      return try await make(id, request, use, begun: present)
    } catch {
      // What the failed step left is erased as far as possible now, and else by the next call or start.
      if let half = try? await load(id), half.isMaking == true { try? await erase(half) }
      throw error
    }
  }

  private func make(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse, begun: NFSVolume?
  ) async throws(StorageError) -> Work<NFSVolume> {
    var source: [SharedImage.Layer] = []
    var length = ByteCount.zero
    if let wanted = request.source { (source, length) = try await self.source(wanted, for: id, request.size, use) }
    var volume: NFSVolume
    if let begun, !source.isEmpty, let copy = memory.copy(for: id), copy.layer == begun.active, copy.source == source {
      volume = begun
    } else {
      let file: String
      if let begun {
        try await erase(begun)
        file = newLayerName(of: id)
      } else {
        file = FileNames(id).data
      }
      // What is copied is copied into plain bytes.
      let format = source.isEmpty ? settings.format : .raw
      volume = NFSVolume(id, request, file: file, format: format, created: settings.now())
      if !source.isEmpty { try await requireRoom(for: source, id) }
      try requireShort(volume)
      try await place(volume)
      try await make(volume.layers[0], volume, size: source.isEmpty ? request.size : length, thick: settings.thick)
      memory.set(source.isEmpty ? nil : ShareMemory.Copy(layer: file, source: source, position: 0), for: id)
    }
    if !source.isEmpty {
      let progress = try await copySlice(for: id, length: length.bytes)
      guard progress.isComplete else { return .underway(progress) }
      try await folder.grow(volume.active, to: request.size, thick: settings.thick)
    }
    volume.isMaking = nil
    volume.describe(request)
    try await place(volume)
    memory.set(nil, for: id)
    return .done(volume)
  }

  /// What a new volume's bytes are a copy of, and how long that is.
  private func source(
    _ source: VolumeSource, for id: VolumeID, _ size: ByteCount, _ use: VolumeUse
  ) async throws(StorageError) -> ([SharedImage.Layer], ByteCount) {
    let layers: [SharedImage.Layer]
    let (length, kind): (ByteCount, String)
    switch source {
    case .snapshot(let snapshot, let volume):
      guard let origin = try await self.volume(volume), let found = origin.snapshot(snapshot) else {
        throw StorageError(
          .notFound,
          "Volume \(id) can't be made from snapshot \(snapshot) of volume \(volume): there is no such snapshot.")
      }
      (layers, length, kind) = (origin.image(from: found.layer), found.size, "snapshot \(snapshot) of volume \(volume)")
    case .volume(let volume):
      guard let origin = try await self.volume(volume) else {
        throw StorageError(
          .notFound,
          "Volume \(id) can't be made from volume \(volume): there is no \(folder.path(of: FileNames(volume).data)).")
      }
      guard !use.ofSource else {
        throw StorageError(
          .unsupported,
          "Volume \(id) can't be made from volume \(volume), which is in use. Take a snapshot and make it from that.")
      }
      let idle = try await settled(origin, inUse: false)
      (layers, length, kind) = (idle.image, idle.size, "volume \(volume)")
    }
    guard size >= length else {
      throw .invalid("size", "of volume \(id) must be at least that of \(kind), \(length); it is \(size).")
    }
    try await ImageCheck(folder: folder).check(layers)
    return (layers, length)
  }

  private func requireRoom(for source: [SharedImage.Layer], _ id: VolumeID) async throws(StorageError) {
    var wanted = ByteCount.zero
    for layer in source { wanted += try await folder.status(of: layer.name)?.allocated ?? .zero }
    let free = try await folder.capacity().free
    guard free >= wanted else {
      throw StorageError(
        .noSpace, "Volume \(id) can't be made: its source takes up to \(wanted), and only \(free) is free on the share."
      )
    }
  }

  private func update(
    _ present: NFSVolume, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> NFSVolume {
    var volume = try await settled(present, inUse: use.ofVolume)
    var described = volume
    described.describe(request)
    if described != volume { try requireShort(described) }
    if request.size > volume.size {
      try await grow(volume.active, of: volume, to: request.size, inUse: use.ofVolume)
    }
    volume.describe(request)
    if volume != present { try await place(volume) }
    return volume
  }

  /// Makes a layer show more. One that QEMU may have open and keeps tables of is left to QEMU.
  func grow(_ name: String, of volume: NFSVolume, to size: ByteCount, inUse: Bool) async throws(StorageError) {
    switch volume.layer(name)?.format {
    case .raw: try await folder.grow(name, to: size, thick: settings.thick)
    case .qcow2:
      var header = try await ImageCheck(folder: folder).header(of: name)
      guard size <= header.reach else {
        throw StorageError(.noSpace, "\(folder.path(of: name)) can't show more than \(header.reach).")
      }
      guard !inUse, size > header.size else { return }
      header.size = size
      try await folder.write(header.encoded, to: name, at: 0)
    case nil: return
    }
  }

  // MARK: Erasing

  /// Erases the volume and everything half-made of it. Throws `inUse` while it has snapshots.
  func remove(_ id: VolumeID) async throws(StorageError) -> Progress {
    guard var volume = try await load(id) else {
      try await eraseTemporaries(of: id)
      return .complete
    }
    if volume.isWhole {
      volume = try await settled(volume, inUse: false)
      if let snapshot = volume.snapshots.first {
        throw StorageError(.inUse, "Volume \(id) can't be removed: it has snapshot \(snapshot.id).")
      }
      volume.isLeaving = true
      try await place(volume)
    }
    return try await eraseSlice(volume)
  }

  /// Erases all of it, however long that takes.
  func erase(_ volume: NFSVolume) async throws(StorageError) {
    while try await !eraseSlice(volume).isComplete {}
  }

  /// Files first, and then their description. A server may take long to free a file of many bytes at once.
  private func eraseSlice(_ volume: NFSVolume) async throws(StorageError) -> Progress {
    let end = ContinuousClock.now + settings.slice
    var (left, total) = (Int64(0), Int64(0))
    for layer in volume.layers {
      guard var size = try await folder.status(of: layer.name)?.size.bytes else { continue }
      total += max(size, volume.size.bytes)
      while size > Self.cut, ContinuousClock.now < end {
        size -= Self.cut
        try await folder.shrink(layer.name, to: ByteCount(size))
      }
      if size > Self.cut { left += size } else { try await folder.remove(layer.name) }
    }
    guard left == 0 else { return Progress(done: 1 - Double(left) / Double(total)) }
    try await folder.sync()
    try await eraseTemporaries(of: volume.id)
    try await folder.remove(FileNames(volume.id).sidecar)
    try await folder.sync()
    memory.set(nil, for: volume.id)
    return .complete
  }

  private func eraseTemporaries(of id: VolumeID) async throws(StorageError) {
    for name in Self.temporaryNames(of: id) { try await folder.remove(name) }
  }

  /// How much of a file is freed at once.
  private static var cut: Int64 { 256 << 30 }
}
