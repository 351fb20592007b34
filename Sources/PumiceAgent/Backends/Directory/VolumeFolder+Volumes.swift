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
    /// `nil` when it is missing or can't be read.
    let sidecar: VolumeSidecar?
  }

  /// The volume, if it is there as a whole.
  func volume(_ id: VolumeID) throws(StorageError) -> Entry? {
    let names = VolumeFileNames(id)
    guard let size = try size(of: names.data) else { return nil }
    return Entry(id: id, size: size, sidecar: try read(names.sidecar).flatMap { VolumeSidecar($0, of: id) })
  }

  /// Every whole volume, by id.
  func volumes() throws(StorageError) -> [Entry] {
    var entries: [Entry] = []
    for name in try names() {
      guard let (id, role) = VolumeFileNames.role(of: name), role == .data else { continue }
      if let entry = try volume(id) { entries.append(entry) }
    }
    return entries.sorted { $0.id < $1.id }
  }

  /// Makes the volume, or makes it larger, and writes down what the request says about it.
  func ensure(_ id: VolumeID, _ request: VolumeRequest, thick: Bool, now: Timestamp) throws(StorageError) -> Entry {
    guard request.size > .zero else {
      throw .invalid("size", "of volume \(id) must be positive; it is \(request.size).")
    }
    let names = VolumeFileNames(id)
    if let entry = try volume(id) {
      return try update(entry, names, request, thick: thick, now: now)
    }
    try remove(names.newData)
    let sidecar = VolumeSidecar(id, request, size: request.size, created: now)
    do throws(StorageError) {
      try create(names.newData, size: request.size, thick: thick)
      try place(sidecar, names)
      try rename(names.newData, to: names.data)
      try sync()
    } catch {
      // What the failed step left is removed as far as possible now, and else by the next call or start.
      try? erase(id)
      throw error
    }
    return Entry(id: id, size: request.size, sidecar: sidecar)
  }

  /// Erases the volume and everything half-made of it, bytes first.
  func erase(_ id: VolumeID) throws(StorageError) {
    let names = VolumeFileNames(id)
    try remove(names.newData)
    try remove(names.newSidecar)
    try remove(names.data)
    try sync()
    try remove(names.sidecar)
    try sync()
  }

  /// Erases what crashes have left: temporary files, and sidecars without data. Returns what it erased.
  func sweep() throws(StorageError) -> [String] {
    var leavings: [String] = []
    for name in try names() {
      guard let (id, role) = VolumeFileNames.role(of: name) else { continue }
      let isLeaving =
        switch role {
        case .temporary: true
        case .sidecar: try size(of: VolumeFileNames(id).data) == nil
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

  private func update(
    _ entry: Entry, _ names: VolumeFileNames, _ request: VolumeRequest, thick: Bool, now: Timestamp
  ) throws(StorageError) -> Entry {
    if request.size > entry.size {
      try grow(names.data, from: entry.size, to: request.size, thick: thick)
    } else {
      // An earlier call may have ended between making it so and making it durable.
      try sync(names.data)
    }
    let size = max(entry.size, request.size)
    let sidecar = VolumeSidecar(entry.id, request, size: size, created: entry.sidecar?.created ?? now)
    if sidecar == entry.sidecar {
      try sync()
    } else {
      try place(sidecar, names)
    }
    return Entry(id: entry.id, size: size, sidecar: sidecar)
  }

  /// Puts the sidecar in place as a whole, durably.
  private func place(_ sidecar: VolumeSidecar, _ names: VolumeFileNames) throws(StorageError) {
    try write(try sidecar.encoded(), to: names.newSidecar)
    try rename(names.newSidecar, to: names.sidecar)
    try sync()
  }
}
