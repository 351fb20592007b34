import PumiceModel
import SystemPackage

/// A file with a secret in it, which only its owner may read.
enum SecretFile {
  /// Reads it whole. Refused when others than its owner may read or write it, or when it is no plain file.
  static func read(_ path: String, calledBy key: String) throws(StorageError) -> [UInt8] {
    do {
      let file = try FileDescriptor.open(FilePath(path), .readOnly, options: [.closeOnExec, .nonBlocking])
      return try file.closeAfter {
        let status = try file.stat()
        guard status.type == .regular else { throw StorageError.invalid(key, "\(path) is not a plain file.") }
        guard status.permissions.isDisjoint(with: [.groupReadWriteExecute, .otherReadWriteExecute]) else {
          throw StorageError.invalid(
            key, "\(path) may be read or written by others than its owner; run: chmod 600 \(path)")
        }
        guard status.size <= 1 << 20 else { throw StorageError.invalid(key, "\(path) is larger than 1 MiB.") }
        return try readAll(file)
      }
    } catch let error as StorageError {
      throw error
    } catch {
      throw StorageError(.invalid, "\(key) \(path) can't be read: \(error)", field: key, cause: error)
    }
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

  /// Reads a file that consists of one secret, without the white space around it.
  static func secret(in path: String, calledBy key: String) throws(StorageError) -> String {
    guard let text = String(validating: try read(path, calledBy: key), as: UTF8.self)?.trimmed, text.utf8.count >= 16
    else {
      throw .invalid(key, "\(path) must hold at least 16 characters.")
    }
    return text
  }

  /// Compares two secrets in a time that depends only on their lengths.
  static func areEqual(_ left: String, _ right: String) -> Bool {
    let (left, right) = (Array(left.utf8), Array(right.utf8))
    var difference = left.count ^ right.count
    for index in left.indices { difference |= Int(left[index] ^ (right.isEmpty ? 0 : right[index % right.count])) }
    return difference == 0
  }
}
