import Glibc
import PumiceModel
import SystemPackage

/// An open folder with volumes in it: every system call of the directory backend, blocking, with the sentences for what can
/// go wrong.
///
/// Opened anew for each operation, so that a file system mounted or replaced meanwhile is noticed, not written under.
struct VolumeFolder: ~Copyable {
  /// Called with a name before each system call that changes something. One that throws stands for the end of the process,
  /// when it also throws for all that come after.
  typealias Fault = @Sendable (_ step: String) throws(StorageError) -> Void

  struct FileStatus: Equatable {
    let size: ByteCount
    /// What it takes on the disk.
    let allocated: ByteCount
    let inode: UInt64
    /// When its bytes or its description changed last, in nanoseconds since 1970: unlike the time of modification, nobody
    /// can turn it back (inode(7)).
    let changed: Int64
  }

  /// How the files that are made here begin.
  struct NewFiles: Sendable, Equatable {
    var mode: mode_t = 0o600
    /// Whose they shall be, where this process may give them away; `nil`: its own.
    var owner: Owner?

    struct Owner: Sendable, Equatable {
      var user: UInt32
      var group: UInt32
    }
  }

  let path: String
  let descriptor: Int32
  private let newFiles: NewFiles
  private let fault: Fault?

  /// Opens a folder that is fit to hold other people's data.
  ///
  /// Throws `missingPart` when there is none, `forbidden` when it is a link, no folder, or open to everybody, unless that is
  /// wanted.
  init(
    path: String, newFiles: NewFiles = NewFiles(), allowsEverybody: Bool = false, fault: Fault? = nil
  ) throws(StorageError) {
    self.path = path
    self.newFiles = newFiles
    self.fault = fault
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      switch errno {
      case ENOENT:
        throw StorageError(
          .missingPart, "The folder \(path) does not exist. Make it with: install -d -m 0700 \(path)")
      case ELOOP, ENOTDIR:
        throw StorageError(
          .forbidden, "\(path) is a symbolic link or no folder. Put the real folder's path into the configuration.")
      default: throw Self.error("Opening the folder \(path)")
      }
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.error("Reading the permissions of \(path)") }
    guard allowsEverybody || status.st_mode & S_IWOTH == 0 else {
      throw StorageError(
        .forbidden, "The folder \(path) is writable by everybody. Take that away with: chmod o-w \(path)")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func path(of name: String) -> String { "\(path)/\(name)" }

  /// What a regular file is like; `nil` if there is no such name.
  func status(of name: String) throws(StorageError) -> FileStatus? {
    var status = stat()
    guard fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
      if errno == ENOENT { return nil }
      throw Self.error("Reading the size of \(path(of: name))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw StorageError(.conflict, "\(path(of: name)) is not a regular file, so it can't be a volume.")
    }
    return FileStatus(
      size: ByteCount(Int64(status.st_size)), allocated: ByteCount(Int64(status.st_blocks) * 512),
      inode: UInt64(status.st_ino),
      changed: Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec))
  }

  func names() throws(StorageError) -> [String] {
    do throws(Errno) {
      return try fileNames(in: descriptor)
    } catch {
      throw Self.error("Listing the folder \(path)", error)
    }
  }

  /// Makes an empty file.
  func create(_ name: String) throws(StorageError) {
    try reach("create")
    close(try openFile(name, O_CREAT | O_EXCL | O_RDWR))
  }

  /// Makes a file larger, durably, with zeros. On failure it has its old size.
  func grow(_ name: String, to size: ByteCount, thick: Bool) throws(StorageError) {
    let file = try openFile(name, O_RDWR)
    defer { close(file) }
    guard let old = try status(of: name) else { return }
    do throws(StorageError) {
      try setSize(of: file, name, to: size, more: size - old.allocated, thick: thick)
      try sync(file, name)
    } catch {
      try reach("truncate")
      ftruncate(file, off_t(old.size.bytes))
      throw error
    }
  }

  /// Makes the content of a file durable.
  func sync(_ name: String) throws(StorageError) {
    let file = try openFile(name, O_RDONLY)
    defer { close(file) }
    try sync(file, name)
  }

  /// Writes a small file, durable but for its name. On failure nothing is left.
  func write(_ bytes: [UInt8], to name: String) throws(StorageError) {
    try reach("write")
    let file = try openFile(name, O_CREAT | O_TRUNC | O_WRONLY)
    defer { close(file) }
    do throws(StorageError) {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw Self.error("Writing \(path(of: name))") }
        rest = rest.dropFirst(count)
      }
      try sync(file, name)
    } catch {
      try? remove(name)
      throw error
    }
  }

  /// Reads a small file (up to 1 MiB); `nil` if there is no such name.
  func read(_ name: String) throws(StorageError) -> [UInt8]? {
    let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw Self.error("Opening \(path(of: name))")
    }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    var length = 0
    while length < bytes.count {
      let count = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress! + length, $0.count - length) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Self.error("Reading \(path(of: name))") }
      if count == 0 { break }
      length += count
    }
    return Array(bytes[..<length])
  }

  func rename(_ name: String, to newName: String) throws(StorageError) {
    try reach("rename")
    guard renameat(descriptor, name, descriptor, newName) == 0 else {
      throw Self.error("Renaming \(path(of: name)) to \(newName)")
    }
  }

  /// Takes a name and its bytes away; content if it is not there.
  func remove(_ name: String) throws(StorageError) {
    try reach("remove")
    guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else { throw Self.error("Deleting \(path(of: name))") }
  }

  /// Makes the names durable as they are now.
  func sync() throws(StorageError) {
    try reach("sync")
    guard fsync(descriptor) == 0 else { throw Self.error("Writing the folder \(path) to disk") }
  }

  /// The file system's size, and what an ordinary user could still write to it.
  func capacity() throws(StorageError) -> (total: ByteCount, free: ByteCount) {
    var status = statvfs()
    guard fstatvfs(descriptor, &status) == 0 else { throw Self.error("Reading the free space of \(path)") }
    let unit = Int64(status.f_frsize)
    return (ByteCount(Int64(status.f_blocks) * unit), ByteCount(Int64(status.f_bavail) * unit))
  }

  func openFile(_ name: String, _ flags: Int32) throws(StorageError) -> Int32 {
    let file = openat(descriptor, name, flags | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Self.error("Opening \(path(of: name))") }
    if flags & O_CREAT != 0 {
      do throws(StorageError) {
        try letIn(file, name)
      } catch {
        close(file)
        throw error
      }
    }
    return file
  }

  /// Lets in who shall be let in. Giving it away comes last: after that, it may be somebody else's to change.
  private func letIn(_ file: Int32, _ name: String) throws(StorageError) {
    // Unlike open(2), this asks no umask.
    guard newFiles.mode == 0o600 || fchmod(file, newFiles.mode) == 0 else {
      throw Self.error("Setting the permissions of \(path(of: name))")
    }
    guard let owner = newFiles.owner, fchown(file, owner.user, owner.group) != 0 else { return }
    // A server that takes root for nobody says EPERM, one that does not know the number EINVAL.
    guard [EPERM, EINVAL].contains(errno) else { throw Self.error("Giving \(path(of: name)) away") }
  }

  func reach(_ step: String) throws(StorageError) { try fault?(step) }

  private func setSize(
    of file: Int32, _ name: String, to size: ByteCount, more: ByteCount, thick: Bool
  ) throws(StorageError) {
    if thick, more > (try capacity().free) {
      // Found out before, since glibc writes block by block where a file system can't allocate.
      throw StorageError(
        .noSpace, "Giving \(path(of: name)) a size of \(size) failed: only \(try capacity().free) is free.")
    }
    try reach("allocate")
    while true {
      if thick {
        // Unlike its neighbours, posix_fallocate(3) returns the number instead of setting it.
        errno = posix_fallocate(file, 0, off_t(size.bytes))
        if errno == 0 { return }
      } else if ftruncate(file, off_t(size.bytes)) == 0 {
        return
      }
      if errno != EINTR { throw Self.error("Giving \(path(of: name)) a size of \(size)") }
    }
  }

  func sync(_ file: Int32, _ name: String) throws(StorageError) {
    try reach("sync")
    guard fsync(file) == 0 else { throw Self.error("Writing \(path(of: name)) to disk") }
  }

  /// What `errno` says (errno(3)), as an error about one attempt.
  static func error(_ attempt: String, _ number: Errno = Errno(rawValue: errno)) -> StorageError {
    let code: StorageError.Code =
      switch number.rawValue {
      case ENOSPC, EDQUOT, EFBIG: .noSpace
      case EACCES, EPERM, EROFS, ELOOP: .forbidden
      case ENOENT: .notFound
      case EEXIST: .conflict
      case EOPNOTSUPP, ENOSYS: .unsupported
      case EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR, EBUSY, ETXTBSY: .unavailable
      case ESTALE, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ECONNREFUSED, ECONNRESET: .unavailable
      default: .failed
      }
    return StorageError(code, "\(attempt) failed: \(number).", cause: number.rawValue == ESTALE ? StaleHandle() : nil)
  }
}

/// A file server has forgotten a folder that it had shown before (ESTALE).
struct StaleHandle: Error, CustomStringConvertible {
  var description: String { "stale handle" }
}
