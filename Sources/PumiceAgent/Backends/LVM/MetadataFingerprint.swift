import Glibc
import PumiceModel

/// Tells whether a volume group's metadata has changed, for the price of reading one block of a physical volume.
///
/// LVM keeps the metadata as text in a ring on each physical volume. Before the ring stands a header with place, size and
/// checksum of the present text, which every commit by anybody rewrites (lvm2, lib/format_text/layout.h: `pv_header`,
/// `mda_header`, `raw_locn`). All numbers are little-endian.
struct MetadataFingerprint: Equatable, Sendable {
  private static let sector = 512
  private static let labelScanSectors = 4
  private static let block = 4096
  private static let headerMagic: [UInt8] = Array(" LVM2 x[5A%r0N*>".utf8)

  private let header: [UInt8]
  /// Where on the device the header and the ring behind it are.
  private let area: UInt64

  /// Blocks for as long as the device does. Throws `failed` when there is no metadata to be found on it.
  init(ofPhysicalVolume path: String) throws(StorageError) {
    // Direct: LVM writes past the page cache, which would go on showing what it once read.
    let device = open(path, O_RDONLY | O_CLOEXEC | directIO)
    guard device >= 0 else { throw Self.error(path, String(cString: strerror(errno))) }
    defer { close(device) }
    let start = try Self.read(device, path, at: 0)
    guard
      let label = (0..<Self.labelScanSectors).map({ $0 * Self.sector }).first(where: {
        start[$0..<$0 + 8].elementsEqual("LABELONE".utf8)
      })
    else { throw Self.error(path, "it has no LVM label") }
    // The label says where in its sector the header of the physical volume begins.
    var position = label + Int(Self.number(start, at: label + 20, bytes: 4))
    // Past its UUID and size there are two lists of (offset, size), each ended by zeros: data, then metadata.
    position += 32 + 8
    for isMetadata in [false, true] {
      while position + 16 <= start.count, case let offset = Self.number(start, at: position, bytes: 8), offset != 0 {
        if isMetadata {
          header = try Self.header(device, path, at: offset)
          area = offset
          return
        }
        position += 16
      }
      position += 16
    }
    throw Self.error(path, "it keeps no metadata")
  }

  /// The metadata itself. Blocks for as long as the device does.
  static func text(ofPhysicalVolume path: String) throws(StorageError) -> String {
    // Others may change it while it is being read.
    for _ in 0..<10 {
      if let text = try MetadataFingerprint(ofPhysicalVolume: path).text(ofPhysicalVolume: path) { return text }
    }
    throw error(path, "it never stays the same")
  }

  /// `nil` when it is not the present one any more.
  private func text(ofPhysicalVolume path: String) throws(StorageError) -> String? {
    let ring = Self.number(header, at: 32, bytes: 8)
    let (start, length) = (Self.number(header, at: 40, bytes: 8), Self.number(header, at: 48, bytes: 8))
    // The ring begins behind the header, and goes on there past its end.
    let first = min(length, ring - min(start, ring))
    guard start >= Self.sector, length <= ring - min(ring, UInt64(Self.sector)) else {
      throw Self.error(path, "its header says that \(length) bytes are at \(start) of \(ring)")
    }
    let device = open(path, O_RDONLY | O_CLOEXEC | directIO)
    guard device >= 0 else { throw Self.error(path, String(cString: strerror(errno))) }
    defer { close(device) }
    var bytes = try Self.read(device, path, at: area + start, count: first)
    bytes += try Self.read(device, path, at: area + UInt64(Self.sector), count: length - first)
    return try Self.header(device, path, at: area) == header ? String(decoding: bytes, as: UTF8.self) : nil
  }

  private static func header(_ device: Int32, _ path: String, at offset: UInt64) throws(StorageError) -> [UInt8] {
    let begin = offset / UInt64(block) * UInt64(block)
    let bytes = try read(device, path, at: begin)
    let header = Array(bytes[Int(offset - begin)...].prefix(sector))
    guard header.count == sector, header[4..<20].elementsEqual(headerMagic) else {
      throw error(path, "its metadata area has no header")
    }
    return header
  }

  private static func read(_ device: Int32, _ path: String, at offset: UInt64) throws(StorageError) -> [UInt8] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: block, alignment: block)
    defer { buffer.deallocate() }
    let count = pread(device, buffer.baseAddress, block, off_t(offset))
    guard count == block else { throw error(path, count < 0 ? String(cString: strerror(errno)) : "it ends too early") }
    return Array(buffer)
  }

  /// Any bytes, by whole blocks.
  private static func read(
    _ device: Int32, _ path: String, at offset: UInt64, count: UInt64
  ) throws(StorageError) -> [UInt8] {
    let skipped = Int(offset % UInt64(block))
    var bytes: [UInt8] = []
    while bytes.count < skipped + Int(count) {
      bytes += try read(device, path, at: offset - UInt64(skipped) + UInt64(bytes.count))
    }
    return Array(bytes[skipped..<skipped + Int(count)])
  }

  private static func number(_ bytes: [UInt8], at position: Int, bytes count: Int) -> UInt64 {
    bytes[position..<position + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func error(_ path: String, _ reason: String) -> StorageError {
    StorageError(.failed, "Reading the LVM metadata of \(path) failed: \(reason).")
  }
}
