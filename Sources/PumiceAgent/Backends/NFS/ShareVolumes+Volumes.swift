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
    if let present, present.isWhole { return try await update(present, request, use) }
    do throws(StorageError) {
      return try await make(id, request, use, begun: present)
    } catch {
      // A copy that has lost its server goes on from where it stood.
      if [.unavailable, .timeout].contains(error.code), memory.copy(for: id) != nil { throw error }
      // What the failed step left is erased as far as possible now, and else by the next call or start.
      if let half = try? await load(id), half.isMaking == true { try? await erase(half) }
      throw error
    }
  }

  private func make(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse, begun: NFSVolume?
  ) async throws(StorageError) -> Work<NFSVolume> {
    if let source = request.source { return try await makeCopy(id, of: source, request, use, begun: begun) }
    if let begun { try await erase(begun) }
    let file = begun == nil ? FileNames(id).data : newLayerName(of: id)
    var volume = NFSVolume(id, request, file: file, format: settings.format, created: settings.now())
    try requireShort(volume)
    try await place(volume)
    try await make(volume.layers[0], volume, size: request.size, thick: settings.thick)
    volume.isMaking = nil
    try await place(volume)
    return .done(volume)
  }

  private func update(
    _ present: NFSVolume, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<NFSVolume> {
    if use.ofVolume, present.isStepOffered == true {
      return .underway(Progress(done: 0, awaits: present.generation))
    }
    var volume = try await settled(present, inUse: use.ofVolume)
    var described = volume
    described.describe(request)
    if described != volume { try requireShort(described) }
    if request.size > volume.size {
      try await grow(volume.active, of: volume, to: request.size, inUse: use.ofVolume)
    }
    volume.describe(request)
    if volume != present { try await place(volume) }
    return .done(volume)
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
      if let pin = volume.pins?.first {
        throw StorageError(.inUse, "Volume \(id) can't be removed: volume \(pin.copy) is being made from it.")
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
    // From here on it may be anything by halves.
    memory.set(nil, for: volume.id)
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
    return .complete
  }

  private func eraseTemporaries(of id: VolumeID) async throws(StorageError) {
    for name in Self.temporaryNames(of: id) { try await folder.remove(name) }
  }

  /// How much of a file is freed at once.
  private static var cut: Int64 { 256 << 30 }
}
