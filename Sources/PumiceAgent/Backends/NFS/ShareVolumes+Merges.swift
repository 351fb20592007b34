import PumiceModel
import PumiceWire

/// Layers that nobody needs any more are moved together with those below them: by Pumice, or, where they are open, by those who
/// use the volume.
extension ShareVolumes {
  /// Takes the snapshot away, and moves together what it has kept apart.
  ///
  /// - Parameter mayAsk: Whether those who use the volume may be asked to merge layers that they have open. Else these stay.
  func removeSnapshot(
    _ id: SnapshotID, of volumeID: VolumeID, inUse: Bool, mayAsk: Bool = true
  ) async throws(StorageError) -> Progress {
    guard let volume = try await volume(volumeID) else { return .complete }
    return try await tidied(volume, without: id, inUse: inUse, mayAsk: mayAsk)
  }

  /// Lets go what copies have held of the volume that are made or given up, and moves together what that has kept apart.
  func release(_ id: VolumeID, inUse: Bool) async throws(StorageError) -> Progress {
    guard let volume = try await volume(id) else { return .complete }
    // What others have left apart while the volume was in use is not for this to see to once it is not.
    let isBegun = volume.merging != nil || !volume.unneeded.isEmpty
    if !inUse, !isBegun, try await unpinned(volume) == volume { return .complete }
    return try await tidied(volume, without: nil, inUse: inUse, mayAsk: true)
  }

  private func tidied(
    _ present: NFSVolume, without snapshot: SnapshotID?, inUse: Bool, mayAsk: Bool
  ) async throws(StorageError) -> Progress {
    var (volume, placed) = (present, present)
    if inUse, volume.isStepOffered == true { return Progress(done: 0, awaits: volume.generation) }
    let isOpen = inUse && volume.merging.map { merged in volume.image.contains { $0.name == merged.name } } == true
    let goesOn = volume.merging != nil && volume.isStepOffered != true && !isOpen
    volume = goesOn ? try await unpinned(volume) : try await settled(volume, inUse: inUse)
    if let snapshot, volume.snapshot(snapshot) != nil { volume.remove(snapshot) }
    if volume != placed {
      try await place(volume)
      placed = volume
    }
    let end = ContinuousClock.now + settings.slice
    while true {
      volume = try await eraseUnneeded(volume)
      if volume != placed { try await place(volume) }
      guard let layer = volume.merging ?? volume.mergeable(inUse: inUse) else { return .complete }
      let isOpen = inUse && volume.image.contains { $0.name == layer.name }
      if isOpen, !mayAsk { return .complete }
      if volume.step == nil {
        try await ImageCheck(folder: folder).check(volume.image(from: layer.name))
        try await beginMerge(layer, isOpen: isOpen, &volume)
      }
      placed = volume
      if isOpen { return Progress(done: 0, awaits: volume.generation) }
      let progress = try await merge(layer, volume)
      guard progress.isComplete else { return progress }
      volume.finishStep()
      try await place(volume)
      placed = volume
      if ContinuousClock.now >= end { return Progress(done: 0.99) }
    }
  }

  private func beginMerge(
    _ layer: NFSVolume.Layer, isOpen: Bool, _ volume: inout NFSVolume
  ) async throws(StorageError) {
    guard let parent = layer.parent.flatMap({ volume.layer($0) }) else { return }
    // Since an earlier attempt was given up, somebody may have written to the layer.
    memory.set(nil, for: volume.id)
    if isOpen || parent.format == .raw {
      volume.begin(.merge(layer: layer.name, into: parent.name))
      if isOpen { volume.isStepOffered = true }
    } else {
      let other = NFSVolume.Layer(name: newLayerName(of: volume.id), format: .qcow2, parent: parent.parent)
      volume.begin(.merge(layer: layer.name, into: other.name), other)
    }
    try await place(volume)
  }

  /// Moves a layer's bytes to where they go, and puts that behind the layers above.
  private func merge(_ layer: NFSVolume.Layer, _ volume: NFSVolume) async throws(StorageError) -> Progress {
    guard case .merge(_, let name)? = volume.step, let target = volume.layer(name),
      let parent = layer.parent.flatMap({ volume.layer($0) })
    else { return .complete }
    let pair = [layer, parent].map(\.shared)
    let progress =
      target == parent
      ? try await mergeSlice(pair[0], into: target.name, of: volume.id)
      : try await mergeSlice(
        pair, into: target.name, over: target.parent.flatMap { volume.layer($0) }?.backing, of: volume.id)
    guard progress.isComplete else { return progress }
    try await rebase(volume.children(of: layer.name), from: layer, onto: target)
    return .complete
  }
}
