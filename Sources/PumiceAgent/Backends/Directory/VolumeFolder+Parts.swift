import CFallocate
import Glibc
import PumiceModel

/// Parts of files.
extension VolumeFolder {
  /// Overwrites a few bytes of a file, durably.
  func write(_ bytes: [UInt8], to name: String, at offset: Int64) throws(StorageError) {
    let file = try openFile(name, O_WRONLY)
    defer { close(file) }
    try reach("write")
    let isWritten = bytes.withUnsafeBytes { bytes in
      transfer(bytes.count) {
        pwrite(file, bytes.baseAddress! + $0, bytes.count - $0, off_t(offset) + off_t($0))
      }
    }
    guard isWritten else { throw Self.error("Writing \(path(of: name))") }
    try sync(file, name)
  }

  /// Reads a part of a file: fewer bytes only at its end. `nil` if there is no such name.
  func read(_ name: String, _ count: Int, at offset: Int64) throws(StorageError) -> [UInt8]? {
    let file = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw Self.error("Opening \(path(of: name))")
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw Self.error("Reading the size of \(path(of: name))") }
    let count = min(count, max(0, Int(status.st_size) - Int(offset)))
    var bytes = [UInt8](repeating: 0, count: count)
    var length = 0
    while length < count {
      let part = bytes.withUnsafeMutableBytes {
        pread(file, $0.baseAddress! + length, count - length, off_t(offset) + off_t(length))
      }
      if part < 0, errno == EINTR { continue }
      guard part >= 0 else { throw Self.error("Reading \(path(of: name))") }
      if part == 0 { break }
      length += part
    }
    return Array(bytes[..<length])
  }

  /// Cuts a file's end off, durably; never makes it larger.
  func shrink(_ name: String, to size: ByteCount) throws(StorageError) {
    let file = try openFile(name, O_RDWR)
    defer { close(file) }
    guard let old = try status(of: name)?.size, old > size else { return }
    try reach("truncate")
    guard ftruncate(file, off_t(size.bytes)) == 0 else {
      throw Self.error("Giving \(path(of: name)) a size of \(size)")
    }
    try sync(file, name)
  }

  /// Takes blocks for a part of a file, which becomes as long as that (fallocate(2)). Throws `unsupported` where the file
  /// system can't, and never writes instead.
  func allocate(_ part: Range<Int64>, of name: String) throws(StorageError) {
    let file = try openFile(name, O_RDWR)
    defer { close(file) }
    try reach("allocate")
    while fallocate(file, 0, off_t(part.lowerBound), off_t(part.count)) != 0 {
      if errno != EINTR { throw Self.error("Taking blocks for \(path(of: name))") }
    }
  }
}
