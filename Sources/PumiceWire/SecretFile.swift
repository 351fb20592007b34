import Glibc
public import PumiceModel
import SystemPackage

/// A file with a secret in it, for its owner alone: the fleet's join token, and the tokens of users.
///
/// No message ever has a part of its content.
public enum SecretFile {
  /// What is shorter could be guessed.
  public static let leastTokenLength = 16

  /// Reads it whole.
  ///
  /// - Parameter key: the configuration key that names it; the field of every error.
  /// - Throws: `missingPart` when there is none, `forbidden` when it can't be read or others than its owner may touch it,
  ///   `invalid` when it is no plain file or larger than 1 MiB.
  public static func read(_ path: String, calledBy key: String) throws(StorageError) -> [UInt8] {
    do {
      // Without waiting for a writer, should it be a pipe.
      let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
      return try file.closeAfter {
        let status = try file.stat()
        guard status.type == .regular else {
          throw StorageError(.invalid, "\(path) (\(key)) is not a plain file.", field: key)
        }
        guard status.permissions.isDisjoint(with: [.groupReadWriteExecute, .otherReadWriteExecute]) else {
          throw StorageError(
            .forbidden,
            "The file \(path) (\(key)) holds a secret and is open to others. Close it with: chmod 0600 \(path)",
            field: key)
        }
        guard status.size <= 1 << 20 else {
          throw StorageError(.invalid, "The file \(path) (\(key)) is larger than 1 MiB.", field: key)
        }
        return try readAll(file)
      }
    } catch let error as StorageError {
      throw error
    } catch {
      let code = error as? Errno == .noSuchFileOrDirectory ? StorageError.Code.missingPart : .forbidden
      throw StorageError(code, "The file \(path) (\(key)) can't be read: \(error).", field: key, cause: error)
    }
  }

  /// Reads a file that is one token, without the white space around it.
  ///
  /// - Throws: also `invalid` when it is shorter than 16 characters, or has some that don't fit into a header.
  public static func token(in path: String, calledBy key: String) throws(StorageError) -> String {
    let isBlank: (UInt8) -> Bool = { $0 <= 0x20 }
    let bytes = try read(path, calledBy: key)
    let token = bytes.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
    guard token.count >= leastTokenLength, token.allSatisfy({ 0x21...0x7E ~= $0 }) else {
      throw StorageError(
        .invalid,
        "The file \(path) (\(key)) must hold one token of at least \(leastTokenLength) characters, without spaces.",
        field: key)
    }
    return String(decoding: token, as: UTF8.self)
  }

  /// Replaces the file, or makes it: after a crash there is the one or the other, durable when it returns. Only its owner may
  /// read it, which is that of the file before it.
  public static func write(_ bytes: [UInt8], to path: String) throws(StorageError) {
    let (temporary, attempt) = (path + ".new", "Writing \(path)")
    unlink(temporary)
    let file = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure(attempt) }
    do throws(StorageError) {
      defer { close(file) }
      var old = Glibc.stat()
      if lstat(path, &old) == 0, old.st_uid != geteuid() || old.st_gid != getegid() {
        guard fchown(file, old.st_uid, old.st_gid) == 0 else { throw failure(attempt) }
      }
      var written = 0
      while written < bytes.count {
        let count = bytes[written...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw failure(attempt) }
        written += count
      }
      guard fsync(file) == 0, rename(temporary, path) == 0 else { throw failure(attempt) }
    } catch {
      unlink(temporary)
      throw error
    }
    try withFolder(of: path) { folder throws(StorageError) in
      guard fsync(folder) == 0 else { throw failure(attempt) }
    }
  }

  /// Does something with the file while no other process does.
  public static func exclusively<Result>(
    _ path: String, _ body: () throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    try withFolder(of: path) { folder throws(StorageError) in
      while flock(folder, LOCK_EX) != 0 {
        guard errno == EINTR else { throw failure("Locking the folder of \(path)") }
      }
      return try body()
    }
  }

  private static func withFolder<Result>(
    of path: String, _ body: (Int32) throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    let folder = FilePath(path).removingLastComponent()
    let descriptor = open(folder.isEmpty ? "." : folder.string, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("Opening the folder of \(path)") }
    defer { close(descriptor) }
    return try body(descriptor)
  }

  private static func failure(_ attempt: String) -> StorageError {
    let number = Errno(rawValue: errno)
    let code: StorageError.Code =
      switch number {
      case .noSuchFileOrDirectory: .missingPart
      case .permissionDenied, .notPermitted: .forbidden
      case .noSpace, .diskQuotaExceeded: .noSpace
      default: .failed
      }
    return StorageError(code, "\(attempt) failed: \(number).", cause: number)
  }

  private static func readAll(_ file: FileDescriptor) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = try part.withUnsafeMutableBytes { try file.read(into: $0) }
      if count == 0 { return bytes }
      bytes += part[..<count]
    }
  }
}
