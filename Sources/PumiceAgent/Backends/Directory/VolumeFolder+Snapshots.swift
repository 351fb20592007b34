import PumiceModel
import PumiceWire

/// Snapshots are files of their own, made, found and erased in the same order of steps as volumes.
extension VolumeFolder {
  struct SnapshotEntry {
    let id: SnapshotID
    let volume: VolumeID
    let size: ByteCount
    /// `nil` when it is missing or can't be read; whose snapshot it is stands in its name.
    let sidecar: SnapshotSidecar?
  }

  /// The snapshot, if it is there as a whole.
  func snapshot(_ id: SnapshotID, of volume: VolumeID) throws(StorageError) -> SnapshotEntry? {
    let names = FileNames(id, of: volume)
    guard let status = try status(of: names.data) else { return nil }
    return SnapshotEntry(
      id: id, volume: volume, size: status.size,
      sidecar: try read(names.sidecar).flatMap { SnapshotSidecar($0, of: names) })
  }

  /// Every whole snapshot, by id.
  func snapshots() throws(StorageError) -> [SnapshotEntry] {
    var entries: [SnapshotEntry] = []
    for name in try names() {
      guard case (let names, .data)? = FileNames.role(of: name), case .snapshot(let id, let volume) = names.owner else {
        continue
      }
      if let entry = try snapshot(id, of: volume) { entries.append(entry) }
    }
    return entries.sorted { $0.id < $1.id }
  }

  /// Makes the snapshot, unless it is there.
  func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool, thick: Bool, now: Timestamp, _ slice: CopySlice
  ) throws(StorageError) -> Work<SnapshotEntry> {
    try requireNone(id, ofOthersThan: request.volume, "taken")
    let names = FileNames(id, of: request.volume)
    if let entry = try snapshot(id, of: request.volume) {
      // An earlier call may have ended between making it so and making it durable.
      try discard(names)
      if entry.sidecar == nil {
        try place(SnapshotSidecar(id, request, size: entry.size, created: now), names)
      } else {
        try sync()
      }
      return .done(try placed(snapshot(id, of: request.volume), names))
    }
    guard let volume = try volume(request.volume) else {
      throw StorageError(
        .notFound,
        "Snapshot \(id) of volume \(request.volume) can't be taken: there is no \(path(of: FileNames(request.volume).data))."
      )
    }
    do throws(StorageError) {
      let progress = try copy(
        FileNames(volume.id).data, to: names, size: volume.size, thick: thick, inUse: inUse, slice)
      guard progress.isComplete else { return .underway(progress) }
      try place(SnapshotSidecar(id, request, size: volume.size, created: now), names)
      try rename(names.newData, to: names.data)
      try sync()
      try discard(names)
    } catch {
      try? erase(names)
      throw error
    }
    return .done(try placed(snapshot(id, of: request.volume), names))
  }

  func removeSnapshot(_ id: SnapshotID, of volume: VolumeID) throws(StorageError) {
    try requireNone(id, ofOthersThan: volume, "removed")
    try erase(FileNames(id, of: volume))
  }

  /// Gives the volume the snapshot's content: a new file with it takes the place of the volume's in one step, and becomes
  /// known as reverted by that.
  func revert(
    _ id: VolumeID, _ request: RevertRequest, thick: Bool, _ slice: CopySlice
  ) throws(StorageError) -> Work<Entry> {
    let names = FileNames(id)
    guard let volume = try volume(id) else {
      throw StorageError(.notFound, "Volume \(id) can't be reverted: there is no \(path(of: names.data)).")
    }
    if volume.revert?.revision == request.revision {
      try sync()
      try discard(names)
      return .done(volume)
    }
    guard let snapshot = try snapshot(request.snapshot, of: id) else {
      throw StorageError(
        .notFound,
        "Volume \(id) can't be reverted to snapshot \(request.snapshot): there is no "
          + "\(path(of: FileNames(request.snapshot, of: id).data)).")
    }
    do throws(StorageError) {
      let progress = try copy(
        FileNames(snapshot.id, of: id).data, to: names, size: max(volume.size, snapshot.size), thick: thick,
        inUse: false, slice)
      guard progress.isComplete else { return .underway(progress) }
      try exchange(volume, snapshot, names, request)
      try discard(names)
    } catch {
      try? discard(names)
      throw error
    }
    return .done(try placed(self.volume(id), names))
  }

  private func exchange(
    _ volume: Entry, _ snapshot: SnapshotEntry, _ names: FileNames, _ request: RevertRequest
  ) throws(StorageError) {
    // A program that has the old file open would go on with it, and nobody would see what it writes.
    if try isOpenForWriting(names.data) {
      throw StorageError(
        .inUse, "Volume \(volume.id) can't be reverted: a program has \(path(of: names.data)) open for writing.")
    }
    let fallback = snapshot.sidecar.map { VolumeSidecar($0, size: volume.size) }
    guard var sidecar = volume.sidecar ?? fallback, let inode = try status(of: names.newData)?.inode else {
      throw StorageError(
        .failed, "Volume \(volume.id) can't be reverted: neither it nor its snapshot has a readable description.")
    }
    sidecar.size = max(volume.size, snapshot.size)
    sidecar.revision = volume.revision
    sidecar.revert = VolumeSidecar.Revert(revision: request.revision, snapshot: snapshot.id, inode: inode)
    try place(sidecar, names)
    try rename(names.newData, to: names.data)
    try sync()
  }

  /// Throws `conflict` when the id is that of another volume's snapshot.
  private func requireNone(
    _ id: SnapshotID, ofOthersThan volume: VolumeID, _ participle: String
  ) throws(StorageError) {
    for name in try names() {
      guard case (let names, .data)? = FileNames.role(of: name), case .snapshot(id, let other) = names.owner,
        other != volume
      else { continue }
      throw StorageError(
        .conflict, "Snapshot \(id) of volume \(volume) can't be \(participle): it is one of volume \(other).")
    }
  }
}
