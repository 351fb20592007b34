import PumiceModel

/// What the logical volumes of a group are to one backend: volumes, snapshots, leavings of crashes, and what is others'.
///
/// Ours is what has one of our names, the tag `pumice`, and lies where this backend puts volumes: in its thin pool, or in
/// none. A logical volume that has the name of a volume but not the tag, such as one that Cinder has made, is foreign: it is
/// neither shown, nor changed, nor removed, and a volume of that name can't be made beside it.
struct LVMCatalog: Sendable {
  let group: VolumeGroup
  /// `nil` where volumes are thick.
  let thinPool: String?
  /// The pool as it is reported.
  let pool: String

  init(_ group: VolumeGroup, thinPool: String?, pool: String) {
    self.group = group
    self.thinPool = thinPool
    self.pool = pool
  }

  /// Ours of this name, whole or not.
  func entry(_ name: LVMName) -> LogicalVolume? { group[name].flatMap { isOurs($0) ? $0 : nil } }

  private func isOurs(_ volume: LogicalVolume) -> Bool {
    guard volume.isOurs, LVMName(volume.name) != nil else { return false }
    switch volume.kind {
    case .thin: return thinPool != nil && volume.pool == thinPool
    case .thick, .thickSnapshot: return thinPool == nil
    case .thinPool, .hidden: return false
    }
  }

  /// Ours, by name.
  var entries: [(name: LVMName, volume: LogicalVolume)] {
    group.logicalVolumes.values.compactMap { volume in
      isOurs(volume) ? LVMName(volume.name).map { ($0, volume) } : nil
    }.sorted { $0.1.name < $1.1.name }
  }

  /// What somebody else has given one of our names.
  func foreign(_ name: LVMName) -> LogicalVolume? { group[name].flatMap { isOurs($0) ? nil : $0 } }

  /// Whether the thin pool may not have heard of all that is in the group.
  var hasPendingMessages: Bool { thinPool.flatMap { group[$0] }?.hasPendingMessages ?? false }

  /// Ours that the thin pool may not have.
  var pendingCreations: [LogicalVolume] { entries.map(\.volume).filter(\.isPendingCreation) }

  // MARK: Volumes

  /// The volume, if it is there as a whole.
  func volume(_ id: VolumeID) -> LogicalVolume? {
    if let volume = entry(.volume(id)) { return volume }
    // A revert that was cut off between its two renamings.
    return thinPool != nil && group[.volume(id)] == nil ? entry(.reverted(id)) : nil
  }

  func stored(_ id: VolumeID) -> StoredVolume? { volume(id).map { stored(id, $0) } }

  func stored(_ id: VolumeID, _ volume: LogicalVolume) -> StoredVolume {
    let tags = volume.ourTags ?? LVMTags()
    return StoredVolume(
      id: id, pool: pool, size: volume.size, revision: tags.revision,
      path: group.path(of: LVMName.volume(id).description), description: tags.description)
  }

  var volumes: [StoredVolume] {
    let ids = entries.compactMap { entry -> VolumeID? in
      switch entry.name {
      case .volume(let id), .reverted(let id): id
      case .snapshot, .making, .growing, .source, .deletingVolume, .deletingSnapshot: nil
      }
    }
    return Set(ids).sorted().compactMap { stored($0) }
  }

  // MARK: Snapshots

  /// The snapshot, if it is there as a whole.
  func snapshot(_ id: SnapshotID) -> LogicalVolume? {
    guard let snapshot = entry(.snapshot(id)) else { return nil }
    // A thick one without origin is on its way in or out.
    return snapshot.kind == .thin || snapshot.kind == .thickSnapshot && !snapshot.isMerging ? snapshot : nil
  }

  func stored(_ id: SnapshotID) -> StoredSnapshot? {
    snapshot(id).flatMap { snapshot in
      snapshot.ourTags.flatMap { stored(id, $0, size: contentSize(of: snapshot), origin: snapshot.origin) }
    }
  }

  /// How many bytes of a snapshot count: one that was taken anew after a revert shows the size that the volume has now.
  func contentSize(of snapshot: LogicalVolume) -> ByteCount {
    let shown = snapshot.kind == .thickSnapshot ? snapshot.originSize ?? snapshot.size : snapshot.size
    return snapshot.ourTags?.size.map { min($0, shown) } ?? shown
  }

  private func stored(_ id: SnapshotID, _ tags: LVMTags, size: ByteCount, origin: String?) -> StoredSnapshot? {
    var volume = tags.volume
    if volume == nil, case .volume(let id)? = origin.flatMap({ LVMName($0) }) { volume = id }
    return volume.map {
      StoredSnapshot(id: id, of: $0, pool: pool, size: size, revision: tags.revision, description: tags.description)
    }
  }

  var snapshots: [StoredSnapshot] {
    entries.compactMap { entry in
      switch entry.name {
      case .snapshot(let id): stored(id)
      case .volume: snapshotInMerge(entry.volume)
      case .making, .growing, .source, .reverted, .deletingVolume, .deletingSnapshot: nil
      }
    }.sorted { $0.id < $1.id }
  }

  /// The snapshot that a volume is being reverted to. It is there for everybody but LVM: its content is the volume's.
  private func snapshotInMerge(_ volume: LogicalVolume) -> StoredSnapshot? {
    guard let tags = volume.ourTags, let reversion = tags.reversion, snapshot(reversion.snapshot) == nil,
      let kept = tags.keptSnapshot
    else { return nil }
    return stored(reversion.snapshot, kept, size: reversion.size, origin: volume.name)
  }

  func snapshots(of id: VolumeID) -> [StoredSnapshot] { snapshots.filter { $0.volume == id } }

  /// Whether the volume's content is being exchanged by LVM, or has been and the rest of the revert is to be done.
  func isReverting(_ volume: LogicalVolume) -> Bool {
    if volume.isMerging { return true }
    guard let reversion = volume.ourTags?.reversion else { return false }
    // Before the merge the snapshot is there, and after the merge it is there anew, which its tags say.
    return snapshot(reversion.snapshot).map { $0.ourTags?.reversion == reversion } ?? true
  }

  /// The new volumes that are being copied from this snapshot, or from this volume's present.
  func copies(from source: LVMName) -> [VolumeID] {
    entries.compactMap { entry in
      guard case .making(let id) = entry.name, let from = entry.volume.ourTags?.source else { return nil }
      switch source {
      case .snapshot(let snapshot): return from.snapshot == snapshot ? id : nil
      case .volume(let volume): return from == .volume(volume) ? id : nil
      default: return nil
      }
    }
  }

  /// Whether the coordinator counts it: volumes and snapshots, and what becomes one.
  func isAccountedFor(_ volume: LogicalVolume) -> Bool {
    guard isOurs(volume), let name = LVMName(volume.name) else { return false }
    switch name {
    case .volume, .snapshot, .making, .growing, .reverted: return true
    case .source, .deletingVolume, .deletingSnapshot: return false
    }
  }

  /// Volumes that are being copied from others.
  var copiesUnderWay: [VolumeID] {
    entries.compactMap { entry in
      guard case .making(let id) = entry.name, thinPool == nil, entry.volume.ourTags?.source != nil else { return nil }
      return id
    }
  }

  /// Volumes whose revert has to be ended.
  var revertsUnderWay: [VolumeID] {
    entries.compactMap { entry in
      switch entry.name {
      case .volume(let id): isReverting(entry.volume) ? id : nil
      case .reverted(let id): volume(id) == entry.volume ? id : nil
      case .snapshot, .making, .growing, .source, .deletingVolume, .deletingSnapshot: nil
      }
    }
  }

  // MARK: Leavings

  /// What is only bytes, to be wiped, of one volume or snapshot; all where none is named.
  func condemned(_ isWanted: (LVMName) -> Bool = { _ in true }) -> [LogicalVolume] {
    entries.filter { entry in
      switch entry.name {
      case .deletingVolume, .deletingSnapshot: isWanted(entry.name)
      default: false
      }
    }.map(\.volume)
  }

  /// What crashes have left that nobody can go on with. Copies under way are not among it.
  var leavings: [(name: LVMName, volume: LogicalVolume)] {
    entries.filter { entry in
      switch entry.name {
      case .making: entry.volume.ourTags?.source == nil || thinPool != nil
      case .growing: true
      case .source(let id): self.entry(.making(id)) == nil || entry.volume.kind != .thickSnapshot
      case .reverted(let id): group[.volume(id)] != nil
      case .snapshot: thinPool == nil && entry.volume.kind != .thickSnapshot
      case .volume, .deletingVolume, .deletingSnapshot: false
      }
    }
  }

  /// A free name for bytes that were `name`.
  func condemnedName(for name: LVMName) -> LVMName {
    func free(_ make: (Int) -> LVMName) -> LVMName {
      var number = 0
      while group[make(number)] != nil { number += 1 }
      return make(number)
    }
    switch name {
    case .volume(let id), .making(let id), .growing(let id), .source(let id), .reverted(let id),
      .deletingVolume(let id, _):
      return free { .deletingVolume(id, $0) }
    case .snapshot(let id), .deletingSnapshot(let id, _):
      return free { .deletingSnapshot(id, $0) }
    }
  }
}
