import Glibc
import PumiceModel

/// A file with one token in it, for the agent's user alone.
enum SecretFile {
  static let minimumLength = 16

  /// The token, without white space around it. No message ever has it, or a part of it.
  ///
  /// Throws `forbidden` when others than the owner may read or write the file, `missingPart` when there is none, `invalid`
  /// when it holds less than 16 characters or something that does not fit into a header.
  static func read(_ path: String, key: String) throws(StorageError) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      let reason = String(cString: strerror(errno))
      throw StorageError(
        errno == ENOENT ? .missingPart : .forbidden, "The file \(path) (\(key)) can't be read: \(reason).", field: key)
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw StorageError(.invalid, "\(path) (\(key)) is not a plain file.", field: key)
    }
    guard status.st_mode & 0o077 == 0 else {
      throw StorageError(
        .forbidden, "The file \(path) (\(key)) holds a secret and is open to others. Close it with: chmod 0600 \(path)",
        field: key)
    }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = Glibc.read(file, &buffer, buffer.count)
    let isBlank: (UInt8) -> Bool = { $0 <= 0x20 }
    let token = buffer.prefix(max(0, count)).drop(while: isBlank).reversed().drop(while: isBlank).reversed()
    guard token.count >= minimumLength, token.allSatisfy({ 0x21...0x7e ~= $0 }) else {
      throw StorageError(
        .invalid,
        "The file \(path) (\(key)) must hold one token of at least \(minimumLength) characters, without spaces.",
        field: key)
    }
    return String(decoding: token, as: UTF8.self)
  }
}
