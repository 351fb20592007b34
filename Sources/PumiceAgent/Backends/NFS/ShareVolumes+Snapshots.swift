import PumiceModel
import PumiceWire

/// Snapshots, reverts and merges: changes of the tree of layers, each one written down before it is begun.
extension ShareVolumes {
  // MARK: Steps under way

  /// The volume when nothing is under way, still to be placed: a step that nobody has seen is taken back, one that nobody follows
  /// any more is found out about, and copies that are made or given up hold nothing of it. Throws `busy` while users are on
  /// their way.
  func settled(_ volume: NFSVolume, inUse: Bool) async throws(StorageError) -> NFSVolume {
    var volume = volume
    if let step = volume.step, volume.isStepOffered == true {
      guard !inUse else {
        throw StorageError(
          .busy, "Volume \(volume.id) is changing its files, and the instance that uses it has to follow.")
      }
      switch step {
      // Whether or not somebody wrote to the new layer: it is the volume's content.
      case .push, .pin, .copy, .revert: volume.finishStep()
      case .merge(let name, _):
        if try await isMerged(name, volume) {
          try await finishMerge(of: &volume, inUse: false)
        } else {
          volume.abandonStep()
        }
      }
      try await place(volume)
    } else if volume.step != nil {
      try await abandonStep(of: &volume)
    }
    return try await eraseUnneeded(try await unpinned(volume))
  }

  /// Takes a step back that nobody has been told of. Layers that a merge has already put onto its result go back onto the one
  /// that was to be merged, before the result goes.
  func abandonStep(of volume: inout NFSVolume) async throws(StorageError) {
    if case .merge(let name, let other)? = volume.step, let layer = volume.layer(name), let result = volume.layer(other)
    {
      try await rebase(volume.children(of: name), from: result, onto: layer)
    }
    volume.abandonStep()
  }

  /// QEMU has put the parent behind the layer that it has open. Others above the merged one, which show other snapshots, follow.
  private func finishMerge(of volume: inout NFSVolume, inUse: Bool) async throws(StorageError) {
    if case .merge(let name, let other)? = volume.step, let layer = volume.layer(name), let result = volume.layer(other)
    {
      let open = inUse ? Set(volume.image.map(\.name)) : []
      try await rebase(volume.children(of: name).filter { !open.contains($0.name) }, from: layer, onto: result)
    }
    volume.finishStep()
  }

  /// Puts another layer behind those that have a certain one there.
  func rebase(
    _ layers: [NFSVolume.Layer], from old: NFSVolume.Layer, onto new: NFSVolume.Layer
  ) async throws(StorageError) {
    for layer in layers {
      var header = try await ImageCheck(folder: folder).header(of: layer.name)
      guard header.backing?.plain == old.backing else { continue }
      header.backing = new.backing
      try await folder.write(header.encoded, to: layer.name, at: 0)
    }
  }

  /// Whether QEMU has ended the merge: then it has put the parent behind the layer above.
  private func isMerged(_ name: String, _ volume: NFSVolume) async throws(StorageError) -> Bool {
    guard let above = volume.chain(from: volume.active).first(where: { $0.parent == name }) else { return false }
    return try await ImageCheck(folder: folder).header(of: above.name).backing?.plain.name == volume.layer(name)?.parent
  }

  /// Whether what its users are offered is a merge that has been made, so that they only have to know of it.
  func isMerged(_ volume: NFSVolume) async throws(StorageError) -> Bool {
    guard volume.isStepOffered == true, case .merge(let name, _)? = volume.step else { return false }
    return try await isMerged(name, volume)
  }

  /// The users have gone over to what was offered under this generation.
  ///
  /// Throws `conflict` for a merge that the files know nothing of: without it, what is to go is all that has its bytes.
  func adopt(_ id: VolumeID, generation: Int) async throws(StorageError) {
    guard var volume = try await volume(id), volume.generation == generation, volume.isStepOffered == true else {
      return
    }
    if case .merge(let name, _)? = volume.step {
      guard try await isMerged(volume) else {
        throw StorageError(
          .conflict, "\(folder.path(of: name)) stays: the file above it still needs it, so nobody has merged it.")
      }
    }
    try await finishMerge(of: &volume, inUse: true)
    try await place(volume)
  }

  /// The users can't go over to what was offered under this generation. A merge can wait until they can; anything else stays.
  ///
  /// Throws `unavailable` for a merge that was made meanwhile: an instance that has it in its configuration still would not
  /// start without the layer. The next to ask can go over.
  func decline(_ id: VolumeID, generation: Int) async throws(StorageError) {
    guard var volume = try await volume(id), volume.generation == generation, volume.isStepOffered == true,
      case .merge(let name, _)? = volume.step
    else { return }
    guard try await !isMerged(volume) else {
      throw StorageError(
        .unavailable,
        "\(folder.path(of: name)) stays for now: it is merged, and the instances that use volume \(id) have to hear of it."
      )
    }
    volume.abandonStep()
    try await place(volume)
  }

  /// Puts an empty layer in front of the active one, by a step. Those who have the volume open are offered it.
  func push(
    _ layer: NFSVolume.Layer, _ step: NFSVolume.Step, onto volume: inout NFSVolume, inUse: Bool
  ) async throws(StorageError) {
    volume.begin(step, layer)
    try requireShort(volume)
    try await place(volume)
    try await make(layer, volume, size: volume.size, thick: false)
    if inUse { volume.isStepOffered = true } else { volume.finishStep() }
    try await place(volume)
  }

  /// Takes back, as far as possible now, what a step has begun that fails; else the next call or start does.
  func cleaning<Value>(
    _ id: VolumeID, _ body: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    do throws(StorageError) {
      return try await body()
    } catch {
      if var half = try? await volume(id), let step = half.step, half.isStepOffered != true {
        if case .merge = step { throw error }
        half.abandonStep()
        if let cleaned = try? await eraseUnneeded(half) { try? await place(cleaned) }
      }
      throw error
    }
  }

  // MARK: Snapshots

  /// Makes the snapshot, unless it is there.
  func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<NFSVolume.Snapshot> {
    try await cleaning(request.volume) { () async throws(StorageError) in
      try await snapshot(id, request, inUse: inUse)
    }
  }

  private func snapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<NFSVolume.Snapshot> {
    if let other = memory.owner(of: id), other != request.volume {
      throw StorageError(
        .conflict, "Snapshot \(id) of volume \(request.volume) can't be taken: it is one of volume \(other).")
    }
    guard var volume = try await volume(request.volume) else {
      throw StorageError(
        .notFound,
        "Snapshot \(id) of volume \(request.volume) can't be taken: there is no "
          + "\(folder.path(of: FileNames(request.volume).data)).")
    }
    if let snapshot = volume.snapshot(id) { return .done(snapshot) }
    // Its own, or somebody else's that has to end first.
    if inUse, volume.isStepOffered == true { return .underway(Progress(done: 0, awaits: volume.generation)) }
    volume = try await settled(volume, inUse: inUse)
    // It may have been on its way to users that are gone now.
    if let snapshot = volume.snapshot(id) { return .done(snapshot) }
    try await ImageCheck(folder: folder).check(volume.image)
    let snapshot = NFSVolume.Snapshot(id, request, of: volume, created: settings.now())
    if let copied = try await copied(snapshot, volume) { return .done(copied) }
    try requireLayering(of: volume, "Snapshot \(id) of volume \(volume.id) can't be taken")
    let layer = NFSVolume.Layer(name: newLayerName(of: volume.id), format: .qcow2, parent: volume.active)
    try await push(layer, .push(layer: layer.name, snapshot: snapshot), onto: &volume, inUse: inUse)
    return inUse ? .underway(Progress(done: 0, awaits: volume.generation)) : .done(snapshot)
  }

  /// Throws `unsupported` for a volume that must be one raw file, because several write to it.
  func requireLayering(of volume: NFSVolume, _ failure: String) throws(StorageError) {
    guard volume.multiattach == true else { return }
    throw StorageError(
      .unsupported,
      "\(failure): several instances may have the volume, so that it must stay one raw file, and the server of "
        + "\(folder.path(of: volume.active)) shares no bytes between files (CLONE of NFS 4.2). Copy the volume instead, while "
        + "nobody has it.")
  }

  var canShare: Bool { folder.canShare && memory.mayShare }

  /// The snapshot as a file that shares its bytes with the volume; `nil` where there can be none.
  private func copied(
    _ snapshot: NFSVolume.Snapshot, _ volume: NFSVolume
  ) async throws(StorageError) -> NFSVolume.Snapshot? {
    guard volume.layer(volume.active)?.format == .raw, canShare else { return nil }
    var volume = volume
    let layer = NFSVolume.Layer(name: newLayerName(of: volume.id), format: .raw, parent: nil)
    volume.begin(.copy(layer: layer.name, snapshot: snapshot), layer)
    try requireShort(volume)
    try await place(volume)
    guard try await folder.share(volume.active, as: layer.name) else {
      memory.forgetSharing()
      volume.abandonStep()
      try await place(try await eraseUnneeded(volume))
      return nil
    }
    volume.finishStep()
    try await place(volume)
    return snapshot
  }

  // MARK: Reverts

  /// Gives the volume the snapshot's content, by a new layer in front of it.
  func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> NFSVolume {
    try await cleaning(id) { () async throws(StorageError) in try await reverted(id, request) }
  }

  private func reverted(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> NFSVolume {
    guard var volume = try await volume(id) else {
      throw StorageError(
        .notFound, "Volume \(id) can't be reverted: there is no \(folder.path(of: FileNames(id).data)).")
    }
    if volume.reverted == request.revision {
      let cleared = try await eraseUnneeded(volume)
      if cleared != volume { try await place(cleared) }
      return cleared
    }
    volume = try await settled(volume, inUse: false)
    guard let snapshot = volume.snapshot(request.snapshot) else {
      throw StorageError(
        .notFound, "Volume \(id) can't be reverted to snapshot \(request.snapshot): there is no such snapshot of it.")
    }
    try await ImageCheck(folder: folder).check(
      volume.image(from: snapshot.layer))
    let isRaw = volume.layer(snapshot.layer)?.format == .raw
    if !(isRaw && canShare) { try requireLayering(of: volume, "Volume \(id) can't be reverted") }
    let layer = NFSVolume.Layer(name: newLayerName(of: id), format: .qcow2, parent: snapshot.layer)
    let copy = NFSVolume.Layer(name: layer.name, format: .raw, parent: nil)
    var step = volume
    step.begin(
      .revert(layer: layer.name, snapshot: snapshot.id, revision: request.revision),
      isRaw && canShare ? copy : layer)
    try await place(step)
    if isRaw, canShare {
      guard try await folder.share(snapshot.layer, as: copy.name) else {
        memory.forgetSharing()
        throw StorageError(.unavailable, "Volume \(id) can't be reverted at once: the server does not share bytes.")
      }
      try await folder.grow(copy.name, to: volume.size, thick: settings.thick)
    } else {
      try await make(layer, step, size: volume.size, thick: false)
    }
    step.finishStep()
    try await place(step)
    let cleared = try await eraseUnneeded(step)
    if cleared != step { try await place(cleared) }
    return cleared
  }
}

extension NFSVolume.Snapshot {
  init(_ id: SnapshotID, _ request: SnapshotRequest, of volume: NFSVolume, created: Timestamp) {
    self.id = id
    name = request.description.name
    project = request.description.project
    type = request.description.type
    metadata = request.description.metadata
    size = volume.size
    revision = request.revision
    self.created = created
    layer = volume.active
  }
}
