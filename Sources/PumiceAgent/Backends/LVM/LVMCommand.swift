import PumiceModel

/// One change of a volume group. LVM does each wholly or not at all, also when the power goes (lvm(8)): what a crash leaves
/// is what stood before or after it. The exception is a thick snapshot, which for a moment is a plain logical volume.
///
/// All logical volumes are made with the flag that keeps `vgchange -ay` and the boot from activating them, and thin ones
/// inactive: they are active only where and while somebody uses them, and `activate` looks past the flag.
enum LVMCommand: Sendable, Equatable {
  case createThinPool(name: String, size: ByteCount, metadata: ByteCount, chunk: ByteCount)
  case createThin(name: String, pool: String, size: ByteCount, tags: [String])
  case createThinSnapshot(name: String, origin: String, isReadOnly: Bool, tags: [String])
  /// Active, since its bytes are to be put in order first of all.
  case createThick(name: String, size: ByteCount, tags: [String])
  /// With so much room for what its origin overwrites.
  case createThickSnapshot(name: String, origin: String, room: ByteCount, tags: [String])
  /// A thick one takes these extents ("/dev/sda:5-9"); any where none are given.
  case extend(name: String, to: ByteCount, onto: [String] = [])
  case extendPoolMetadata(name: String, by: ByteCount)
  case rename(String, to: String)
  case retag(name: String, add: [String], delete: [String])
  case remove(name: String)
  /// Refuses one that somebody has open.
  case deactivate(name: String)
  /// A thick origin with its snapshots.
  case activate(name: String)
  /// Makes a thick snapshot a plain logical volume of the bytes that it kept.
  case split(snapshot: String)
  /// Begins to write a thick snapshot back to its inactive origin at its next activation.
  case merge(snapshot: String)
  /// Ends the merge that is under way in an active origin, once the kernel is done: waits for that.
  case finishMerge(origin: String)

  static let snapshotChunk = ByteCount(64 << 10)

  /// The program's first argument, and the rest.
  func arguments(group: String) -> [String] {
    func path(_ name: String) -> String { "\(group)/\(name)" }
    func tagged(_ tags: [String]) -> [String] { tags.flatMap { ["--addtag", $0] } }
    switch self {
    case .createThinPool(let name, let size, let metadata, let chunk):
      return [
        "lvcreate", "-y", "--type", "thin-pool", "-L", "\(size.bytes)b", "--poolmetadatasize", "\(metadata.bytes)b",
        "--chunksize", "\(chunk.bytes)b", "--zero", "y", "-n", name, group,
      ]
    case .createThin(let name, let pool, let size, let tags):
      return ["lvcreate", "-y", "-an", "-ky", "--type", "thin", "-V", "\(size.bytes)b", "--thinpool", pool, "-n", name]
        + tagged(tags) + [group]
    case .createThinSnapshot(let name, let origin, let isReadOnly, let tags):
      return ["lvcreate", "-y", "-s", "-an", "-ky", "--permission", isReadOnly ? "r" : "rw", "-n", name] + tagged(tags)
        + [path(origin)]
    case .createThick(let name, let size, let tags):
      return [
        "lvcreate", "-y", "-ay", "-ky", "-K", "--zero", "n", "--wipesignatures", "n", "-L", "\(size.bytes)b", "-n",
        name,
      ]
        + tagged(tags) + [group]
    case .createThickSnapshot(let name, let origin, let room, let tags):
      // 64 KiB: the kernel keeps a table of the changed chunks in memory, so that small ones cost gigabytes of it. Not in
      // percent: of those LVM takes as many as it finds room for, and says nothing.
      return [
        "lvcreate", "-y", "-s", "-ky", "-L", "\(room.bytes)b", "--chunksize", "\(Self.snapshotChunk.bytes)b", "-n",
        name,
      ]
        + tagged(tags) + [path(origin)]
    case .extend(let name, let size, let extents):
      return ["lvextend", "-y", "-L", "\(size.bytes)b", path(name)] + extents
    case .extendPoolMetadata(let name, let size):
      return ["lvextend", "-y", "--poolmetadatasize", "+\(size.bytes)b", path(name)]
    case .rename(let name, let newName):
      return ["lvrename", "-y", group, name, newName]
    case .retag(let name, let add, let delete):
      return ["lvchange", "-y"] + tagged(add) + delete.flatMap { ["--deltag", $0] } + [path(name)]
    case .remove(let name):
      return ["lvremove", "-y", path(name)]
    case .deactivate(let name):
      return ["lvchange", "-y", "-an", path(name)]
    case .activate(let name):
      // udev makes the nodes in its own time; whoever is first to open one does not wait for it (`DeviceMapperNode`).
      return ["lvchange", "-y", "-ay", "-K", "--noudevsync", "--poll", "n", path(name)]
    case .split(let snapshot):
      return ["lvconvert", "-y", "--splitsnapshot", path(snapshot)]
    case .merge(let snapshot):
      return ["lvconvert", "-y", "--merge", path(snapshot)]
    case .finishMerge(let origin):
      return ["lvpoll", "--polloperation", "merge", "--interval", "1", path(origin)]
    }
  }

  /// Whether it may simply be run again when LVM has died of it, whatever it had come to.
  var isRepeatable: Bool {
    switch self {
    case .retag, .deactivate, .activate, .finishMerge: true
    case .createThinPool, .createThin, .createThinSnapshot, .createThick, .createThickSnapshot, .extend,
      .extendPoolMetadata, .rename, .remove, .split, .merge:
      false
    }
  }

  /// For messages: what is being done, and to what.
  func attempt(group: String) -> String {
    let place = "in volume group \(group)"
    return switch self {
    case .createThinPool(let name, let size, _, _): "Creating thin pool \(name) of \(size) \(place)"
    case .createThin(let name, let pool, let size, _): "Creating thin volume \(name) of \(size) in \(group)/\(pool)"
    case .createThinSnapshot(let name, let origin, _, _), .createThickSnapshot(let name, let origin, _, _):
      "Creating \(name) as a snapshot of \(group)/\(origin)"
    case .createThick(let name, let size, _): "Creating logical volume \(name) of \(size) \(place)"
    case .extend(let name, let size, _): "Extending \(group)/\(name) to \(size)"
    case .extendPoolMetadata(let name, let size): "Extending the metadata of \(group)/\(name) by \(size)"
    case .rename(let name, let newName): "Renaming \(group)/\(name) to \(newName)"
    case .retag(let name, _, _): "Changing the tags of \(group)/\(name)"
    case .remove(let name): "Removing \(group)/\(name)"
    case .deactivate(let name): "Deactivating \(group)/\(name)"
    case .activate(let name): "Activating \(group)/\(name)"
    case .split(let name): "Splitting snapshot \(group)/\(name) from its origin"
    case .merge(let name): "Merging snapshot \(group)/\(name) into its origin"
    case .finishMerge(let name): "Waiting for the end of the merge into \(group)/\(name)"
    }
  }
}
