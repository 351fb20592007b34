import Glibc
import PumiceModel
import SystemPackage

/// A private folder of small files, each of them whole or not there: every system call of the record store, blocking, with
/// the sentences for what can go wrong.
final class RecordFolder: Sendable {
  private static let temporarySuffix = ".new"
  private static let recordSuffix = ".json"

  let path: String
  private let descriptor: Int32

  /// Opens the folder, and makes it with mode 0700 if there is none.
  init(path: String) throws(StorageError) {
    self.path = path
    if mkdir(path, 0o700) != 0, errno != EEXIST { throw Self.error("Making the folder \(path)") }
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.error("Opening the folder \(path)") }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.error("Reading the permissions of \(path)") }
    guard status.st_mode & 0o077 == 0 else {
      throw StorageError(
        .forbidden, "The folder \(path) holds secrets and is open to others. Close it with: chmod 0700 \(path)")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// The names of all records. Files that were never finished are deleted.
  func sweptNames() throws(StorageError) -> [String] {
    let names: [String]
    do throws(Errno) {
      names = try fileNames(in: descriptor)
    } catch {
      throw Self.error("Listing the folder \(path)", error)
    }
    for name in names where name.hasSuffix(Self.temporarySuffix) { unlinkat(descriptor, name, 0) }
    return names.filter { $0.hasSuffix(Self.recordSuffix) }.sorted()
  }

  func read(_ name: String) throws(StorageError) -> [UInt8] {
    let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else { throw Self.error("Opening \(path)/\(name)") }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Self.error("Reading \(path)/\(name)") }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  /// When it returns, the file has this content, readable by its owner only, and so it is after a crash.
  func write(_ bytes: [UInt8], as name: String) throws(StorageError) {
    let temporary = name + Self.temporarySuffix
    let attempt = "Writing \(path)/\(name)"
    unlinkat(descriptor, temporary, 0)
    let file = openat(descriptor, temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Self.error(attempt) }
    do throws(StorageError) {
      defer { close(file) }
      var written = 0
      while written < bytes.count {
        let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw Self.error(attempt) }
        written += count
      }
      guard fsync(file) == 0 else { throw Self.error(attempt) }
    } catch {
      unlinkat(descriptor, temporary, 0)
      throw error
    }
    guard renameat(descriptor, temporary, descriptor, name) == 0, fsync(descriptor) == 0 else {
      throw Self.error(attempt)
    }
  }

  /// When it returns, there is no such file, and so it is after a crash. Content when there was none.
  func remove(_ name: String) throws(StorageError) {
    guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT, fsync(descriptor) == 0 else {
      throw Self.error("Deleting \(path)/\(name)")
    }
  }

  func setAside(_ name: String) throws(StorageError) {
    guard renameat(descriptor, name, descriptor, name + ".damaged") == 0 else {
      throw Self.error("Renaming \(path)/\(name)")
    }
  }

  /// See open(2), write(2), rename(2).
  private static func error(_ attempt: String, _ number: Errno = Errno(rawValue: errno)) -> StorageError {
    let code: StorageError.Code =
      switch number.rawValue {
      case ENOSPC, EDQUOT: .noSpace
      case EACCES, EPERM, EROFS, ELOOP, ENOTDIR: .forbidden
      case ENOENT: .missingPart
      default: .failed
      }
    return StorageError(code, "\(attempt) failed: \(number).")
  }
}
