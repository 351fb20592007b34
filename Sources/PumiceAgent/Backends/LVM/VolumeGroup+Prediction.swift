import PumiceModel

/// What a command makes of a volume group, so that the group need not be read again after each.
extension VolumeGroup {
  /// Changes the group as the command has. `false`: what it looks like now must be read.
  mutating func apply(_ command: LVMCommand) -> Bool {
    switch command {
    case .createThin(let name, let pool, let size, let tags):
      guard logicalVolumes[name] == nil else { return false }
      add(LogicalVolume(uuid: "", name: name, kind: .thin, size: roundedUp(size), tags: tags, pool: pool))
      // LVM has delivered what there was to deliver first.
      for (key, other) in logicalVolumes where other.pool == pool { logicalVolumes[key]?.isPendingCreation = false }
      logicalVolumes[pool]?.hasPendingMessages = false
    case .createThinSnapshot(let name, let origin, let isReadOnly, let tags):
      guard logicalVolumes[name] == nil, let source = logicalVolumes[origin], source.kind == .thin else { return false }
      var snapshot = LogicalVolume(
        uuid: "", name: name, kind: .thin, size: source.size, tags: tags, origin: origin, pool: source.pool)
      snapshot.isReadOnly = isReadOnly
      add(snapshot)
    case .createThick(let name, let size, let tags):
      guard logicalVolumes[name] == nil else { return false }
      var volume = LogicalVolume(uuid: "", name: name, kind: .thick, size: roundedUp(size), tags: tags)
      volume.isActive = true
      add(volume)
      free = free - roundedUp(size)
    case .extend(let name, let size, _):
      guard let volume = logicalVolumes[name], volume.kind == .thin || volume.kind == .thick else { return false }
      let newSize = roundedUp(size)
      logicalVolumes[name]?.size = newSize
      if volume.kind == .thick { free = free - (newSize - volume.size) }
    case .rename(let name, let newName):
      guard var volume = logicalVolumes[name], logicalVolumes[newName] == nil else { return false }
      logicalVolumes[name] = nil
      volume.name = newName
      logicalVolumes[newName] = volume
      for (key, other) in logicalVolumes where other.origin == name { logicalVolumes[key]?.origin = newName }
    case .retag(let name, let added, let deleted):
      guard let tags = logicalVolumes[name]?.tags else { return false }
      logicalVolumes[name]?.tags = tags.filter { !deleted.contains($0) && !added.contains($0) } + added
    case .remove(let name):
      guard let volume = logicalVolumes[name], volume.kind == .thin || volume.kind == .thick,
        thickSnapshots(of: name).isEmpty
      else { return false }
      logicalVolumes[name] = nil
      for (key, other) in logicalVolumes where other.origin == name { logicalVolumes[key]?.origin = nil }
      if volume.kind == .thick { free = free + volume.size }
    case .activate(let name):
      // The snapshots of an origin come with it, and tell only then how full they are. A pool comes with its volumes.
      guard let volume = logicalVolumes[name], volume.kind == .thin || volume.kind == .thick, volume.originSize == nil
      else { return false }
      if let pool = volume.pool, logicalVolumes[pool]?.isActive != true { return false }
      setActive(name, true)
    case .deactivate(let name):
      guard let volume = logicalVolumes[name], volume.kind == .thin || volume.kind == .thick, !volume.isMerging
      else { return false }
      setActive(name, false)
      for snapshot in thickSnapshots(of: name) { setActive(snapshot.name, false) }
    case .split(let name):
      guard let snapshot = logicalVolumes[name], snapshot.kind == .thickSnapshot, !snapshot.isMerging,
        let origin = snapshot.origin
      else { return false }
      var plain = LogicalVolume(
        uuid: snapshot.uuid, name: name, kind: .thick, size: snapshot.size, tags: snapshot.tags)
      plain.isActive = snapshot.isActive
      logicalVolumes[name] = plain
      if thickSnapshots(of: origin).isEmpty { logicalVolumes[origin]?.originSize = nil }
    case .createThinPool, .createThickSnapshot, .extendPoolMetadata, .merge, .finishMerge:
      return false
    }
    return true
  }

  private mutating func setActive(_ name: String, _ isActive: Bool) {
    logicalVolumes[name]?.isActive = isActive
    logicalVolumes[name]?.isOpen = false
    logicalVolumes[name]?.isSuspended = false
    if !isActive { logicalVolumes[name]?.dataPercent = nil }
  }

  private mutating func add(_ volume: LogicalVolume) { logicalVolumes[volume.name] = volume }
}
