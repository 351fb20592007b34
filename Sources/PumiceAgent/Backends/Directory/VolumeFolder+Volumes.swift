import PumiceModel
import PumiceWire

/// The order of steps that makes, grows, finds and erases volumes, so that a crash between any two is harmless.
///
/// A volume is whole when its data has its final name. The sidecar is in place before that, and goes after it: a sidecar
/// without data is a leaving, and no bytes of anybody are in it. Data without a readable sidecar is never a leaving of ours,
/// so it is kept: it counts as a volume that says nothing about itself until the next `ensure` describes it again.
extension VolumeFolder {
  struct Entry {
    let id: VolumeID
    let size: ByteCount
    let inode: UInt64
    /// `nil` when it is missing or can't be read.
    let sidecar: VolumeSidecar?

    /// The last revert that was done.
    var revert: VolumeSidecar.Revert? { sidecar?.revert.flatMap { $0.inode == inode ? $0 : nil } }
    var revision: Revision { max(sidecar?.revision ?? 0, revert?.revision ?? 0) }
  }

  /// The volume, if it is there as a whole.
  func volume(_ id: VolumeID) throws(StorageError) -> Entry? {
    let names = FileNames(id)
    guard let status = try status(of: names.data) else { return nil }
    return Entry(
      id: id, size: status.size, inode: status.inode,
      sidecar: try read(names.sidecar).flatMap { VolumeSidecar($0, of: names) })
  }

  /// Every whole volume, by id.
  func volumes() throws(StorageError) -> [Entry] {
    var entries: [Entry] = []
    for name in try names() {
      guard case (let names, .data)? = FileNames.role(of: name), case .volume(let id) = names.owner else { continue }
      if let entry = try volume(id) { entries.append(entry) }
    }
    return entries.sorted { $0.id < $1.id }
  }

  /// Makes the volume, or makes it larger, and writes down what the request says about it.
  func ensure(
    _ id: VolumeID, _ request: VolumeRequest, sourceInUse: Bool, thick: Bool, now: Timestamp, _ slice: CopySlice
  ) throws(StorageError) -> Work<Entry> {
    guard request.size > .zero else {
      throw .invalid("size", "of volume \(id) must be positive; it is \(request.size).")
    }
    let names = FileNames(id)
    if let entry = try volume(id) {
      return .done(try update(entry, names, request, thick: thick, now: now))
    }
    do throws(StorageError) {
      if let source = request.source {
        let progress = try copy(
          try self.source(source, for: id, request.size), to: names, size: request.size, thick: thick,
          inUse: sourceInUse, slice)
        guard progress.isComplete else { return .underway(progress) }
      } else {
        try discard(names)
        try create(names.newData)
        try grow(names.newData, to: request.size, thick: thick)
      }
      try place(VolumeSidecar(id, request, size: request.size, created: now), names)
      try rename(names.newData, to: names.data)
      try sync()
      try discard(names)
    } catch {
      // What the failed step left is removed as far as possible now, and else by the next call or start.
      try? erase(names)
      throw error
    }
    return .done(try placed(volume(id), names))
  }

  /// Erases the volume and everything half-made of it and of its snapshots, bytes first. Throws `inUse` while it has
  /// snapshots.
  func remove(_ id: VolumeID) throws(StorageError) {
    var halfMade: Set<FileNames> = []
    for name in try names() {
      guard let (names, role) = FileNames.role(of: name), case .snapshot(let snapshot, id) = names.owner else {
        continue
      }
      if role == .data {
        throw StorageError(.inUse, "Volume \(id) can't be removed: it has snapshot \(snapshot).")
      }
      halfMade.insert(names)
    }
    for names in halfMade { try erase(names) }
    try erase(FileNames(id))
  }

  /// Erases everything with these names, bytes first.
  func erase(_ names: FileNames) throws(StorageError) {
    try discard(names)
    try remove(names.data)
    try sync()
    try remove(names.sidecar)
    try sync()
  }

  /// Erases what crashes have left: temporary files, and sidecars without data. Returns what it erased.
  func sweep() throws(StorageError) -> [String] {
    var leavings: [String] = []
    for name in try names() {
      guard let (names, role) = FileNames.role(of: name) else { continue }
      let isLeaving =
        switch role {
        case .temporary: true
        case .sidecar: try status(of: names.data) == nil
        case .data: false
        }
      if isLeaving {
        try remove(name)
        leavings.append(name)
      }
    }
    if !leavings.isEmpty { try sync() }
    return leavings
  }

  /// Puts a sidecar in place as a whole, durably.
  func place(_ sidecar: some Sidecar, _ names: FileNames) throws(StorageError) {
    try write(try WireJSON.text(sidecar), to: names.newSidecar)
    try rename(names.newSidecar, to: names.sidecar)
    try sync()
  }

  func placed<Value>(_ value: Value?, _ names: FileNames) throws(StorageError) -> Value {
    guard let value else { throw StorageError(.failed, "\(path(of: names.data)) was put in place, and is not there.") }
    return value
  }

  /// The name of what a new volume's bytes are a copy of.
  private func source(
    _ source: VolumeSource, for id: VolumeID, _ size: ByteCount
  ) throws(StorageError) -> String {
    let (name, kind) =
      switch source {
      case .snapshot(let snapshot, let volume):
        (FileNames(snapshot, of: volume).data, "snapshot \(snapshot) of volume \(volume)")
      case .volume(let volume): (FileNames(volume).data, "volume \(volume)")
      }
    guard let status = try status(of: name) else {
      throw StorageError(.notFound, "Volume \(id) can't be made from \(kind): there is no \(path(of: name)).")
    }
    guard size >= status.size else {
      throw .invalid("size", "of volume \(id) must be at least that of \(kind), \(status.size); it is \(size).")
    }
    return name
  }

  private func update(
    _ entry: Entry, _ names: FileNames, _ request: VolumeRequest, thick: Bool, now: Timestamp
  ) throws(StorageError) -> Entry {
    // Of a copy that is in place, or of a revert that was given up.
    try discard(names)
    if request.size > entry.size {
      try grow(names.data, to: request.size, thick: thick)
    } else {
      // An earlier call may have ended between making it so and making it durable.
      try sync(names.data)
    }
    var sidecar = VolumeSidecar(
      entry.id, request, size: max(entry.size, request.size), created: entry.sidecar?.created ?? now)
    if let old = entry.sidecar {
      (sidecar.sourceVolume, sidecar.sourceSnapshot) = (old.sourceVolume, old.sourceSnapshot)
    }
    sidecar.revert = entry.revert
    if sidecar == entry.sidecar {
      try sync()
    } else {
      try place(sidecar, names)
    }
    return try placed(volume(entry.id), names)
  }
}
