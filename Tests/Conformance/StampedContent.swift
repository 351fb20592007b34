import Glibc
public import PumiceAgent
public import PumiceModel

/// What the bytes of a volume are: `length` bytes that were written under one stamp, and zeros from there on.
public struct StampedContent: Sendable, Hashable {
  public let stamp: Int
  public let length: ByteCount

  public static let zeros = StampedContent(0, .zero)

  public init(_ stamp: Int, _ length: ByteCount) {
    self.stamp = stamp
    self.length = length
  }

  /// The bytes were not written in one piece.
  public struct Torn: Error {
    public let path: String
    public let offset: Int64
  }
}

/// Through the volume's path. Every block begins with stamp and number, so that it can't be taken for another.
extension StampedContent {
  private static let block = 4096
  private static let chunk = 256 * block

  /// Overwrites the whole volume, durably.
  @Sendable public static func write(_ stamp: Int, _ volume: StoredVolume) async throws {
    try await BlockingCalls.run { () throws(StorageError) in
      try withFile(volume, O_WRONLY) { (file, buffer) throws(StorageError) in
        for start in stride(from: 0, to: Int(volume.size.bytes), by: chunk) {
          let count = min(chunk, Int(volume.size.bytes) - start)
          for offset in stride(from: 0, to: count, by: block) { fill(buffer + offset, stamp, start + offset) }
          guard pwrite(file, buffer, count, off_t(start)) == count else { throw error("Writing \(volume.path)") }
        }
        guard fsync(file) == 0 else { throw error("Writing \(volume.path) to disk") }
      }
    }
  }

  /// Reads the whole volume from the storage rather than from memory. Throws `Torn` for bytes that no `write` has left.
  @Sendable public static func read(_ volume: StoredVolume) async throws -> StampedContent {
    let outcome: Result<StampedContent, Torn> = try await BlockingCalls.run { () throws(StorageError) in
      try withFile(volume, O_RDONLY) { (file, buffer) throws(StorageError) in
        fsync(file)
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
        let expected = UnsafeMutableRawPointer.allocate(byteCount: block, alignment: block)
        defer { expected.deallocate() }
        var (stamp, length) = (0, 0)
        for start in stride(from: 0, to: Int(volume.size.bytes), by: chunk) {
          let count = min(chunk, Int(volume.size.bytes) - start)
          guard pread(file, buffer, count, off_t(start)) == count else { throw error("Reading \(volume.path)") }
          if start == 0 { stamp = Int(buffer.load(as: Int64.self)) }
          for offset in stride(from: start, to: start + count, by: block) {
            let bytes = buffer + (offset - start)
            fill(expected, stamp, offset)
            if stamp != 0, length == offset, memcmp(bytes, expected, block) == 0 {
              length += block
              continue
            }
            fill(expected, 0, offset)
            guard memcmp(bytes, expected, block) == 0 else {
              return .failure(Torn(path: volume.path, offset: Int64(offset)))
            }
          }
        }
        return .success(StampedContent(length == 0 ? 0 : stamp, ByteCount(Int64(length))))
      }
    }
    return try outcome.get()
  }

  /// One block; all zeros for stamp 0.
  private static func fill(_ block: UnsafeMutableRawPointer, _ stamp: Int, _ offset: Int) {
    memset(block, stamp == 0 ? 0 : Int32(UInt8(truncatingIfNeeded: stamp) | 1), Self.block)
    guard stamp != 0 else { return }
    block.storeBytes(of: Int64(stamp), as: Int64.self)
    block.storeBytes(of: Int64(offset), toByteOffset: 8, as: Int64.self)
  }

  private static func withFile<Value>(
    _ volume: StoredVolume, _ flags: Int32,
    _ body: (Int32, UnsafeMutableRawPointer) throws(StorageError) -> Value
  ) throws(StorageError) -> Value {
    let file = open(volume.path, flags | O_CLOEXEC)
    guard file >= 0 else { throw error("Opening \(volume.path)") }
    defer { close(file) }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: chunk, alignment: block)
    defer { buffer.deallocate() }
    return try body(file, buffer)
  }

  private static func error(_ attempt: String) -> StorageError {
    StorageError(.failed, "\(attempt) failed: \(String(cString: strerror(errno))).")
  }
}
