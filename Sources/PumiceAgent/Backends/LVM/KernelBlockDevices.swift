import Glibc
import PumiceModel

/// Block devices of this node, by ioctls and direct I/O.
struct KernelBlockDevices: BlockDevices {
  // linux/fs.h; each takes a pointer to 64-bit numbers.
  private static let getSize: UInt = 0x8008_1272  // BLKGETSIZE64
  private static let discardRange: UInt = 0x1277  // BLKDISCARD: start and length
  private static let zeroRange: UInt = 0x127f  // BLKZEROOUT: start and length

  /// How long one call may stand still in the kernel.
  var stallLimit = Duration.seconds(60)
  private let stalls = StallWatch()

  func isReady(_ path: String, size: ByteCount) async -> Bool {
    let found = try? await BlockingCalls.run { () throws(StorageError) -> Int64 in
      let device = try Device(path, O_RDONLY)
      var bytes: UInt64 = 0
      try device.control(Self.getSize, &bytes, "Reading the size of \(path)")
      return Int64(clamping: bytes)
    }
    return found == size.bytes
  }

  func zero(_ range: Range<Int64>, of path: String) async throws(StorageError) {
    try await control(Self.zeroRange, range, path, "Zeroing \(path)")
  }

  func discard(_ range: Range<Int64>, of path: String) async throws(StorageError) {
    try await control(Self.discardRange, range, path, "Discarding \(path)")
  }

  func flush(_ path: String) async throws(StorageError) {
    try await stalls.run(path, limit: stallLimit) { () throws(StorageError) in
      let device = try Device(path, O_RDWR)
      guard fsync(device.descriptor) == 0 else { throw Device.error("Flushing \(path)") }
    }
  }

  func copy(_ range: Range<Int64>, from source: String, to target: String) async throws(StorageError) {
    try await stalls.run(target, limit: stallLimit) { () throws(StorageError) in
      let from = try Device(source, O_RDONLY | directIO)
      let to = try Device(target, O_RDWR | directIO)
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 4096)
      defer { buffer.deallocate() }
      var position = range.lowerBound
      while position < range.upperBound {
        let length = Int(min(Int64(buffer.count), range.upperBound - position))
        try from.transfer(
          UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]), at: position, pread, "Reading \(source)")
        try to.transfer(
          UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]), at: position, { pwrite($0, $1, $2, $3) },
          "Writing \(target)")
        position += Int64(length)
      }
    }
  }

  private func control(
    _ request: UInt, _ range: Range<Int64>, _ path: String, _ attempt: String
  ) async throws(StorageError) {
    try await stalls.run(path, limit: stallLimit) { () throws(StorageError) in
      let device = try Device(path, O_RDWR)
      var words = (UInt64(range.lowerBound), UInt64(range.count))
      try device.control(request, &words, attempt)
    }
  }
}

/// An open block device.
private struct Device: ~Copyable {
  let descriptor: Int32

  init(_ path: String, _ flags: Int32) throws(StorageError) { descriptor = try Self.open(path, flags) }

  private static func open(_ path: String, _ flags: Int32) throws(StorageError) -> Int32 {
    let node = DeviceMapperNode(path)
    try node?.mend()
    let descriptor = Glibc.open(path, flags | O_CLOEXEC)
    guard descriptor >= 0 else { throw error("Opening \(path)") }
    do throws(StorageError) { try node?.check(descriptor) } catch {
      close(descriptor)
      throw error
    }
    return descriptor
  }

  deinit { close(descriptor) }

  func control<Argument: BitwiseCopyable>(
    _ request: UInt, _ argument: inout Argument, _ attempt: String
  ) throws(StorageError) {
    let result = withUnsafeMutablePointer(to: &argument) { ioctl(descriptor, request, UnsafeMutableRawPointer($0)) }
    guard result == 0 else { throw Self.error(attempt) }
  }

  func transfer(
    _ buffer: UnsafeMutableRawBufferPointer, at offset: Int64,
    _ call: (Int32, UnsafeMutableRawPointer?, Int, off_t) -> Int, _ attempt: String
  ) throws(StorageError) {
    var done = 0
    while done < buffer.count {
      let count = call(
        descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + off_t(done))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        throw count < 0
          ? Self.error(attempt) : StorageError(.failed, "\(attempt) failed: it ends at byte \(offset + Int64(done)).")
      }
      done += count
    }
  }

  /// What `errno` says (errno(3)).
  static func error(_ attempt: String) -> StorageError {
    let number = errno
    let code: StorageError.Code =
      switch number {
      case ENOSPC: .noSpace
      case EACCES, EPERM, EROFS: .forbidden
      case ENOENT, ENXIO, ENODEV: .notFound
      case EOPNOTSUPP, ENOTTY, EINVAL: .unsupported
      case EBUSY, EMFILE, ENFILE, ENOMEM, EAGAIN: .unavailable
      default: .failed
      }
    return StorageError(code, "\(attempt) failed: \(String(cString: strerror(number))).")
  }
}

// O_DIRECT (open(2)), which Glibc's module leaves out; its number differs between architectures.
#if arch(arm64)
  let directIO: Int32 = 0o200000
#else
  let directIO: Int32 = 0o40000
#endif
