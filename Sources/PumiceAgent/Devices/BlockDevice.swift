import CSCSI
import Glibc
import PumiceModel

/// A block device of this machine, by a path that leads to its node below /dev. Every call may block, for long when a target is away.
struct BlockDevice: Sendable {
  let path: String

  /// Reads the serial number from the device itself, now: what the kernel has remembered may be that of an earlier unit.
  ///
  /// Throws `wrongDevice` when the device has no such page.
  func unitSerial() throws(StorageError) -> String {
    let attempt = "Reading the serial number of \(path)"
    let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw Self.error(attempt) }
    defer { close(file) }
    for _ in 0..<3 {
      let page = try inquire(file, page: 0x80, attempt)
      // A unit attention, such as after a change of the unit's size, is told once.
      guard let page else { continue }
      guard let serial = UnitSerialPage(page)?.serial else {
        throw StorageError(.wrongDevice, "\(attempt) failed: it answers with another page.")
      }
      return serial
    }
    throw StorageError(.unavailable, "\(attempt) failed: the unit reports a check condition each time.")
  }

  /// Writes what is in memory, in the kernel and in the device's cache, and forgets it (ioctl BLKFLSBUF).
  func flush() throws(StorageError) {
    let attempt = "Flushing \(path)"
    let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw Self.error(attempt) }
    defer { close(file) }
    guard fsync(file) == 0, ioctl(file, Self.flushBuffers, 0) == 0 else { throw Self.error(attempt) }
  }

  func size() throws(StorageError) -> ByteCount {
    let attempt = "Reading the size of \(path)"
    let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw Self.error(attempt) }
    defer { close(file) }
    let end = lseek(file, 0, SEEK_END)
    guard end >= 0 else { throw Self.error(attempt) }
    return ByteCount(Int64(end))
  }

  /// `major:minor`; `nil` for what is no block device, or not there.
  var number: String? {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFBLK else { return nil }
    return deviceNumber(status.st_rdev)
  }

  /// Whether a mount, a device map, swap or anybody else claims the device for itself (open(2), O_EXCL).
  func isClaimed() throws(StorageError) -> Bool {
    let file = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC)
    if file >= 0 {
      close(file)
      return false
    }
    if errno == EBUSY { return true }
    throw Self.error("Opening \(path)")
  }

  /// `_IO(0x12, 97)`, from linux/fs.h.
  private static let flushBuffers: UInt = 0x1261

  /// A vital product data page (SPC-4, 6.6); `nil` when the unit had something else to say first.
  private func inquire(_ file: Int32, page: UInt8, _ attempt: String) throws(StorageError) -> [UInt8]? {
    var command: [UInt8] = [0x12, 1, page, 0, 252, 0]
    var answer = [UInt8](repeating: 0, count: 252)
    var sense = [UInt8](repeating: 0, count: 32)
    let status = command.withUnsafeMutableBufferPointer { command in
      answer.withUnsafeMutableBufferPointer { answer in
        sense.withUnsafeMutableBufferPointer { sense -> (Int32, sg_io_hdr) in
          var header = sg_io_hdr()
          header.interface_id = Int32(UInt8(ascii: "S"))
          header.dxfer_direction = SG_DXFER_FROM_DEV
          header.cmd_len = UInt8(command.count)
          header.cmdp = command.baseAddress
          header.mx_sb_len = UInt8(sense.count)
          header.sbp = sense.baseAddress
          header.dxfer_len = UInt32(answer.count)
          header.dxferp = UnsafeMutableRawPointer(answer.baseAddress)
          header.timeout = 10_000
          let result = ioctl(file, UInt(SG_IO), &header)
          return (result, header)
        }
      }
    }
    guard status.0 == 0 else { throw Self.error(attempt) }
    let header = status.1
    if header.status == 2, sense[0] & 0x7f == 0x70, sense[2] & 0xf == 6 { return nil }
    guard header.status == 0, header.host_status == 0, header.driver_status == 0 else {
      throw StorageError(
        .unavailable,
        "\(attempt) failed: status \(header.status), host \(header.host_status), driver \(header.driver_status).")
    }
    return Array(answer.prefix(answer.count - Int(header.resid)))
  }

  /// See open(2), fsync(2), sd(4).
  private static func error(_ attempt: String) -> StorageError {
    let number = errno
    let code: StorageError.Code =
      switch number {
      case ENOENT, ENXIO, ENODEV: .notFound
      case EACCES, EPERM: .forbidden
      case EIO, ETIMEDOUT: .unavailable
      case EBUSY: .inUse
      default: .failed
      }
    return StorageError(code, "\(attempt) failed: \(String(cString: strerror(number))).")
  }
}
