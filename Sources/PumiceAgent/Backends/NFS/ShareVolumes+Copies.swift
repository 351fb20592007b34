import PumiceModel
import PumiceWire

/// Volumes made from snapshots and from other volumes.
///
/// What is copied must not change meanwhile. A snapshot does not, nor does a volume that nobody uses. Of one that is in use, its
/// users go over to a new layer as for a snapshot, and the layer behind that is pinned until the copy is there.
extension ShareVolumes {
  /// Makes the copy, or goes on with the one that has begun.
  func makeCopy(
    _ id: VolumeID, of source: VolumeSource, _ request: VolumeRequest, _ use: VolumeUse, begun: NFSVolume?
  ) async throws(StorageError) -> Work<NFSVolume> {
    var (origin, half) = (try await origin(of: source, for: id), begun)
    let copy = begun.flatMap { begun in memory.copy(for: id).flatMap { $0.layer == begun.active ? $0 : nil } }
    var pin = copy == nil ? nil : begun.flatMap { origin.pin(for: $0) }
    if case .volume = source, pin == nil {
      if use.ofSource, origin.isStepOffered == true {
        return .underway(Progress(done: 0, awaits: origin.generation))
      }
      // What was begun and can't be gone on with holds nothing any more.
      if copy == nil, let begun {
        try await erase(begun)
        half = nil
      }
      let settled = try await settled(origin, inUse: use.ofSource)
      if settled != origin { try await place(settled) }
      origin = settled
      // Its users may have gone away with the step under way.
      pin = copy == nil ? nil : begun.flatMap { origin.pin(for: $0) }
    }
    let original = try original(source, in: origin, use, pin)
    guard request.size >= original.length else {
      throw .invalid(
        "size", "of volume \(id) must be at least that of its source, \(original.length); it is \(request.size).")
    }
    try await ImageCheck(folder: folder).check(original.layers, next: origin.offeredImage)
    if let begun, var copy, pin != nil || copy.source == original.layers && !original.isWrittenTo {
      // Since the last call, layers of the original may have been merged.
      copy.source = original.layers
      memory.set(copy, for: id)
      return try await goOn(begun, original, request)
    }
    if let half { try await erase(half) }
    // A pin is known by the name of its copy's file, so that must be a new one.
    let isNew = begun == nil && !original.isWrittenTo
    return try await begin(
      NFSVolume(
        id, request, file: isNew ? FileNames(id).data : newLayerName(of: id), format: .raw, created: settings.now()),
      original, of: origin, request)
  }

  /// What a new volume's bytes are a copy of.
  private struct Original {
    var layers: [SharedImage.Layer]
    var length: ByteCount
    /// Whether a guest may be writing to the first layer.
    var isWrittenTo: Bool
  }

  private func origin(of source: VolumeSource, for id: VolumeID) async throws(StorageError) -> NFSVolume {
    let origin = try await volume(source.volume)
    switch source {
    case .snapshot(let snapshot, let volume):
      if let origin, origin.snapshot(snapshot) != nil { return origin }
      throw StorageError(
        .notFound,
        "Volume \(id) can't be made from snapshot \(snapshot) of volume \(volume): there is no such snapshot.")
    case .volume(let volume):
      if let origin { return origin }
      throw StorageError(
        .notFound,
        "Volume \(id) can't be made from volume \(volume): there is no \(folder.path(of: FileNames(volume).data)).")
    }
  }

  private func original(
    _ source: VolumeSource, in origin: NFSVolume, _ use: VolumeUse, _ pin: NFSVolume.Pin?
  ) throws(StorageError) -> Original {
    if let pin { return Original(layers: origin.image(from: pin.layer), length: pin.size, isWrittenTo: false) }
    guard case .snapshot(let id, _) = source, let snapshot = origin.snapshot(id) else {
      return Original(layers: origin.image, length: origin.size, isWrittenTo: use.ofSource)
    }
    return Original(layers: origin.image(from: snapshot.layer), length: snapshot.size, isWrittenTo: false)
  }

  private func begin(
    _ copy: NFSVolume, _ original: Original, of origin: NFSVolume, _ request: VolumeRequest
  ) async throws(StorageError) -> Work<NFSVolume> {
    try requireShort(copy)
    // A file that shares its bytes has none for itself, so it is not thick.
    if original.layers.count == 1, original.layers[0].format == .raw, canShare, !settings.thick {
      try await place(copy)
      if try await shared(original, by: copy) { return .done(try await finish(copy, request)) }
      try await requireMeans(for: original, of: origin, copy.id)
    } else {
      try await requireMeans(for: original, of: origin, copy.id)
      try await place(copy)
    }
    try await make(copy.layers[0], copy, size: original.length, thick: settings.thick)
    memory.set(
      ShareMemory.Copy(layer: copy.active, source: original.isWrittenTo ? [] : original.layers, position: 0),
      for: copy.id)
    guard original.isWrittenTo else { return try await goOn(copy, original, request) }
    return .underway(Progress(done: 0, awaits: try await pin(origin, for: copy)))
  }

  private func goOn(
    _ copy: NFSVolume, _ original: Original, _ request: VolumeRequest
  ) async throws(StorageError) -> Work<NFSVolume> {
    let progress = try await copySlice(for: copy.id, length: original.length.bytes)
    return progress.isComplete ? .done(try await finish(copy, request)) : .underway(progress)
  }

  private func finish(_ copy: NFSVolume, _ request: VolumeRequest) async throws(StorageError) -> NFSVolume {
    var copy = copy
    try await folder.grow(copy.active, to: request.size, thick: settings.thick)
    copy.isMaking = nil
    copy.describe(request)
    try await place(copy)
    memory.set(nil, for: copy.id)
    return copy
  }

  /// Makes the copy's file in an instant; `false` where that can't be.
  private func shared(_ original: Original, by copy: NFSVolume) async throws(StorageError) -> Bool {
    guard try await folder.share(original.layers[0].name, as: copy.active) else {
      memory.forgetSharing()
      return false
    }
    // After an extend that was cut off, the file may be longer than the volume.
    try await folder.shrink(copy.active, to: original.length)
    return true
  }

  /// Throws `unsupported` for what would have to be pinned and can't be, `noSpace` where there is no room for all of it.
  private func requireMeans(
    for original: Original, of origin: NFSVolume, _ id: VolumeID
  ) async throws(StorageError) {
    if original.isWrittenTo {
      try requireLayering(of: origin, "Volume \(id) can't be made from volume \(origin.id), which is in use")
    }
    var wanted = ByteCount.zero
    for layer in original.layers { wanted += try await folder.status(of: layer.name)?.allocated ?? .zero }
    let free = try await folder.capacity().free
    guard free >= wanted else {
      throw StorageError(
        .noSpace, "Volume \(id) can't be made: its source takes up to \(wanted), and only \(free) is free on the share."
      )
    }
  }

  // MARK: Pins

  /// Has those who use a volume go over to a new layer, so that the copy can be made from the one behind it. Returns what is to
  /// be awaited.
  private func pin(_ origin: NFSVolume, for copy: NFSVolume) async throws(StorageError) -> Int {
    try await cleaning(origin.id) { () async throws(StorageError) in
      var origin = origin
      let layer = NFSVolume.Layer(name: newLayerName(of: origin.id), format: .qcow2, parent: origin.active)
      let pin = NFSVolume.Pin(copy: copy.id, file: copy.active, size: origin.size, layer: origin.active)
      try await push(layer, .pin(layer: layer.name, pin: pin), onto: &origin, inUse: true)
      return origin.generation
    }
  }

  /// The volume without the pins of copies that are made, given up, or begun anew in another file; still to be placed.
  func unpinned(_ volume: NFSVolume) async throws(StorageError) -> NFSVolume {
    var unpinned = volume
    for pin in volume.pins ?? [] {
      // The copy may be on its way out, and its lock is not held: this is one look at one file, which is there as a whole.
      let bytes = try await folder.read(FileNames(pin.copy).sidecar)
      let copy = bytes.flatMap { NFSVolume($0, of: pin.copy) }
      if copy?.isMaking != true || copy?.active != pin.file { unpinned.remove(pin) }
    }
    return unpinned
  }
}
