import PumiceModel

/// What a logical volume of ours is, as its name says. Volumes and snapshots are called as Cinder calls them.
///
/// LVM keeps names that begin with "snapshot" for itself (lvm(8), "Valid names").
enum LVMName: Hashable, Sendable {
  case volume(VolumeID)
  case snapshot(SnapshotID)
  /// Becomes the volume by being renamed, once it is whole.
  case making(VolumeID)
  /// Extents that are zeroed before the volume gets them.
  case growing(VolumeID)
  /// Another volume, as it was at the moment that this new one is a copy of.
  case source(VolumeID)
  /// What a reverted volume's content shall be. It is the volume from the moment that no other has the volume's name.
  case reverted(VolumeID)
  /// Only bytes, nobody's any more. The number tells those of one volume apart that was deleted, made and deleted again.
  case deletingVolume(VolumeID, Int)
  case deletingSnapshot(SnapshotID, Int)

  init?(_ name: String) {
    for (prefix, make) in Self.prefixes where name.hasPrefix(prefix) {
      let rest = name.dropFirst(prefix.count)
      // Only the form that we write ourselves: an upper-case UUID is another name to LVM.
      guard let found = make(rest), found.description == name else { return nil }
      self = found
      return
    }
    return nil
  }

  private static let prefixes: [(String, @Sendable (Substring) -> LVMName?)] = [
    ("volume-", { VolumeID(String($0)).map { .volume($0) } }),
    ("_snapshot-", { SnapshotID(String($0)).map { .snapshot($0) } }),
    ("making-", { VolumeID(String($0)).map { .making($0) } }),
    ("growing-", { VolumeID(String($0)).map { .growing($0) } }),
    ("source-", { VolumeID(String($0)).map { .source($0) } }),
    ("reverted-", { VolumeID(String($0)).map { .reverted($0) } }),
    (
      "deleting-volume-",
      { rest in numbered(rest).flatMap { id, number in VolumeID(id).map { .deletingVolume($0, number) } } }
    ),
    (
      "deleting-snapshot-",
      { rest in numbered(rest).flatMap { id, number in SnapshotID(id).map { .deletingSnapshot($0, number) } } }
    ),
  ]

  private static func numbered(_ text: Substring) -> (String, Int)? {
    guard text.utf8.count > 37, let number = Int(text.dropFirst(37)) else { return nil }
    return (String(text.prefix(36)), number)
  }
}

extension LVMName: CustomStringConvertible {
  var description: String {
    switch self {
    case .volume(let id): "volume-\(id)"
    case .snapshot(let id): "_snapshot-\(id)"
    case .making(let id): "making-\(id)"
    case .growing(let id): "growing-\(id)"
    case .source(let id): "source-\(id)"
    case .reverted(let id): "reverted-\(id)"
    case .deletingVolume(let id, let number): "deleting-volume-\(id)-\(number)"
    case .deletingSnapshot(let id, let number): "deleting-snapshot-\(id)-\(number)"
    }
  }
}
