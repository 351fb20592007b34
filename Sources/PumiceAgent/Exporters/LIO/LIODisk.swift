import Glibc
import PumiceModel

/// What lies at an export's path, as far as LIO has to be told.
struct LIODisk: Equatable, Sendable {
  var plugin: LIOPlugin
  var path: String
  /// Of a file: LIO has to be told. A block device is asked by LIO itself, each time.
  var size: ByteCount?
  /// Of a block device: `major:minor`.
  var device: String?
  /// Whether guests can give space back. LIO gives the reason why not only in the kernel's log.
  var canDiscard: Bool

  /// Looks at the path. Blocks.
  ///
  /// Throws `notFound` when there is nothing, `invalid` for what LIO can't be told or can't serve.
  static func at(_ path: String) throws(StorageError) -> LIODisk {
    // LIO's requests are lists with commas, and it knows no quotes.
    guard path.hasPrefix("/") else { throw .invalid("path", "of an export must be absolute; it is \"\(path)\".") }
    guard !path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: ",") }) else {
      throw .invalid("path", "of an export through LIO must not have commas or control characters.")
    }
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw StorageError(
        errno == ENOENT ? .notFound : .failed,
        "Exporting \(path) failed: \(String(cString: strerror(errno))).")
    }
    let disk: LIODisk
    let isEmpty: Bool
    switch status.st_mode & S_IFMT {
    case S_IFREG:
      disk = LIODisk(plugin: .fileio, path: path, size: ByteCount(Int64(status.st_size)), canDiscard: true)
      isEmpty = status.st_size < 512
    case S_IFBLK:
      let device = deviceNumber(status.st_rdev)
      disk = LIODisk(plugin: .iblock, path: path, device: device, canDiscard: canDiscard(device))
      isEmpty = number("/sys/dev/block/\(device)/size") == 0
    default: throw .invalid("path", "\(path) is neither a file nor a block device.")
    }
    guard !isEmpty else { throw StorageError(.failed, "\(path) is empty, so it can't be exported.") }
    // SE_UDEV_PATH_LEN and FD_MAX_DEV_NAME: LIO cuts off what is longer, and makes a file with the shorter name.
    let limit = disk.plugin == .fileio ? 255 : 511
    guard path.utf8.count <= limit else {
      throw .invalid("path", "of an export through LIO must not be longer than \(limit) bytes.")
    }
    return disk
  }

  /// See Documentation/ABI/stable/sysfs-block. A partition has the queue of its disk.
  private static func canDiscard(_ device: String) -> Bool {
    let folder = "/sys/dev/block/\(device)"
    let most = number("\(folder)/queue/discard_max_bytes") ?? number("\(folder)/../queue/discard_max_bytes")
    return (most ?? 0) > 0
  }

  private static func number(_ file: String) -> Int64? {
    guard let text = try? String(contentsOfFile: file) else { return nil }
    return Int64(text.prefix { $0.isNumber })
  }
}
