import Glibc
import PumiceModel
import PumiceWire

/// How much of a copy one call does.
struct CopySlice: Sendable {
  /// After this time it ends with the step that it is at.
  var duration: Duration = .seconds(3)
  var step: ByteCount = .mebibytes(4)
}

/// What a copy is made of: written down when it begins, and compared when it goes on.
private struct Origin: Sidecar {
  var copy: String
  var source: String
  var inode: UInt64
  var changed: Int64
  var isFrozen: Bool

  func describes(_ names: FileNames) -> Bool { copy == names.newData }
}

/// Copies of whole files, at once where blocks can be shared, and else in slices.
///
/// Half of a copy lies under a temporary name and is as long as what it has; what it was begun with lies beside it. That is
/// believed for as long as the process lives: after a power cut, a file may be longer than what reached the disk of it, so the
/// next start erases both.
extension VolumeFolder {
  /// Makes `names.newData` a copy of the source, followed by zeros up to `size`: whole and durable when the answer is
  /// `complete`, and else a part further.
  ///
  /// - Parameters:
  ///   - thick: Whether the copy shall have blocks of its own, and all of them.
  ///   - inUse: Whether somebody may be writing to the source. Throws `unsupported` then, unless blocks can be shared.
  func copy(
    _ source: String, to names: FileNames, size: ByteCount, thick: Bool, inUse: Bool, _ slice: CopySlice
  ) throws(StorageError) -> Progress {
    guard let status = try status(of: source) else {
      throw StorageError(.notFound, "\(path(of: source)) can't be copied: it is not there.")
    }
    var origin = try begunCopy(of: source, status, to: names)
    if origin == nil {
      try discard(names)
      try sync(source)
      if try share(source, as: thick ? names.frozen : names.newData) {
        if thick { origin = Origin(of: source, status, names, isFrozen: true) }
      } else {
        origin = Origin(of: source, status, names)
      }
      if let origin {
        let wanted = thick ? size : status.allocated
        guard try capacity().free >= wanted else {
          throw StorageError(
            .noSpace, "Copying \(path(of: source)) failed: it takes \(wanted), and only \(try capacity().free) is free."
          )
        }
        try write(try WireJSON.text(origin), to: names.origin)
        try create(names.newData)
      }
    }
    if let origin {
      if !origin.isFrozen { try requireStill(source, inUse) }
      let progress = try copySlice(origin.isFrozen ? names.frozen : source, to: names.newData, slice)
      if !origin.isFrozen {
        guard let now = try self.status(of: source), Origin(of: source, now, names) == origin else {
          throw StorageError(
            .unavailable, "Copying \(path(of: source)) began anew: somebody wrote to it meanwhile.")
        }
      }
      guard progress.isComplete else { return progress }
    }
    try grow(names.newData, to: size, thick: thick)
    return .complete
  }

  /// What a copy was begun with that can go on.
  private func begunCopy(
    of source: String, _ now: FileStatus, to names: FileNames
  ) throws(StorageError) -> Origin? {
    guard let origin = try read(names.origin).flatMap({ Origin($0, of: names) }), origin.source == source,
      try status(of: names.newData) != nil
    else { return nil }
    let isGood = try origin.isFrozen ? status(of: names.frozen) != nil : origin == Origin(of: source, now, names)
    return isGood ? origin : nil
  }

  /// Takes away what is half-made.
  func discard(_ names: FileNames) throws(StorageError) {
    for name in names.temporaries { try remove(name) }
  }

  /// Throws `unsupported` when somebody may be writing to the file.
  private func requireStill(_ name: String, _ inUse: Bool) throws(StorageError) {
    guard try (inUse ? true : isOpenForWriting(name)) else { return }
    throw StorageError(
      .unsupported,
      "\(path(of: name)) is in use, and its file system can't copy it in an instant. Detach the volume first, or put the "
        + "folder on btrfs or on XFS with reflink=1.")
  }

  private func copySlice(
    _ source: String, to name: String, _ slice: CopySlice
  ) throws(StorageError) -> Progress {
    let from = try openFile(source, O_RDONLY)
    defer { close(from) }
    let file = try openFile(name, O_RDWR)
    defer { close(file) }
    guard let end = try status(of: source)?.size.bytes, var position = try status(of: name)?.size.bytes else {
      throw StorageError(.notFound, "Copying \(path(of: source)) to \(name) failed: one of them is not there.")
    }
    let step = Int(slice.step.bytes)
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: step, alignment: 4096)
    defer { buffer.deallocate() }
    let deadline = ContinuousClock.now + slice.duration
    var unwritten = 0
    repeat {
      guard let data = nextData(from, from: position, end: end) else { return .complete }
      let count = min(step, Int(data.upperBound - data.lowerBound))
      try reach("copy")
      guard
        transfer(count, { pread(from, buffer + $0, count - $0, off_t(data.lowerBound) + off_t($0)) }),
        transfer(count, { pwrite(file, buffer + $0, count - $0, off_t(data.lowerBound) + off_t($0)) })
      else { throw Self.error("Copying \(path(of: source)) to \(name)") }
      position = data.lowerBound + Int64(count)
      unwritten += count
      if unwritten >= 64 << 20 || position >= end || ContinuousClock.now >= deadline {
        // Little by little, so that the last call does not have to wait for everything; and nobody reads it soon.
        guard fdatasync(file) == 0 else { throw Self.error("Writing \(path(of: name)) to disk") }
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
        posix_fadvise(from, 0, off_t(position), POSIX_FADV_DONTNEED)
        unwritten = 0
      }
      if position >= end { return .complete }
    } while ContinuousClock.now < deadline
    return Progress(done: Double(position) / Double(end))
  }

  /// Repeats a call that may do less than it is asked for; `false`, with `errno`, when it fails.
  func transfer(_ count: Int, _ call: (_ done: Int) -> Int) -> Bool {
    var done = 0
    while done < count {
      let part = call(done)
      if part < 0, errno == EINTR { continue }
      if part == 0 { errno = EIO }
      guard part > 0 else { return false }
      done += part
    }
    return true
  }
}

extension Origin {
  init(of source: String, _ status: VolumeFolder.FileStatus, _ names: FileNames, isFrozen: Bool = false) {
    self.init(
      copy: names.newData, source: source, inode: status.inode, changed: status.changed, isFrozen: isFrozen)
  }
}
