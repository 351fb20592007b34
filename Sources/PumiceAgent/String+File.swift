import Glibc
import PumiceModel

extension String {
  /// Reads a small text file. Throws `missingPart` when there is none.
  init(contentsOfFile path: String) throws(StorageError) {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw StorageError(errno == ENOENT ? .missingPart : .forbidden, "\(String(cString: strerror(errno))).")
    }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0, bytes.count + count <= 1 << 20 else {
        throw StorageError(.failed, count < 0 ? "\(String(cString: strerror(errno)))." : "It is larger than 1 MiB.")
      }
      if count == 0 { break }
      bytes += buffer[..<count]
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw StorageError(.invalid, "It is not UTF-8.") }
    self = text
  }
}
