import PumiceModel
import PumiceWire

/// The header of a qcow2 image (docs/interop/qcow2.txt of QEMU), as far as Pumice lets images be: version 3, with at most a
/// backing file, and with no feature that changes how the rest is read.
struct QCOW2Header: Sendable, Equatable {
  struct Backing: Sendable, Equatable {
    /// As it stands there: Pumice writes names of files beside the image, never paths.
    var name: String
    var format: SharedImage.Format
  }

  /// What an image is to be: how many bytes a guest sees.
  var size: ByteCount
  var backing: Backing?
  var clusterBits: Int
  /// How many entries the first table has: each leads to what `1 << (2 * clusterBits - 3)` bytes of the guest's need.
  var tableLength: Int
  var tableOffset: Int64
  private var referenceTableOffset: Int64
  private var referenceTableClusters: Int

  /// With QEMU's usual clusters, and the largest table that it takes.
  static let maximumSize = ByteCount.gibibytes(2 << 20)
  static let magic: [UInt8] = [0x51, 0x46, 0x49, 0xfb]
  /// How much of a file has to be read for its header.
  static let readLength = 4096
  private static let length = 112
  private static let backingFormatType: UInt32 = 0xe279_2aca
  /// Extensions that only say something about the rest: names of features, and bitmaps that are not used.
  private static let harmlessTypes: Set<UInt32> = [0x6803_f857, 0x2385_2875]

  /// Reads it. Throws `conflict` with the reason for whatever Pumice does not make: an image that somebody else has had his
  /// hands on is not opened by anything of ours.
  ///
  /// - Parameter subject: The file, for the message.
  init(_ bytes: [UInt8], of subject: String) throws(StorageError) {
    func refusal(_ reason: String) -> StorageError {
      StorageError(.conflict, "\(subject) can't be used as a qcow2 image: \(reason).")
    }
    let reader = BigEndianReader(bytes)
    guard bytes.starts(with: Self.magic), let version = reader.word(at: 4) else {
      throw refusal("it does not begin like one")
    }
    guard version == 3 else { throw refusal("its version is \(version), not 3") }
    guard let backingOffset = reader.long(at: 8), let backingLength = reader.word(at: 16),
      let clusterBits = reader.word(at: 20), let size = reader.long(at: 24), let encryption = reader.word(at: 32),
      let tableLength = reader.word(at: 36), let tableOffset = reader.long(at: 40),
      let referenceTableOffset = reader.long(at: 48), let referenceTableClusters = reader.word(at: 56),
      let snapshots = reader.word(at: 60), let incompatible = reader.long(at: 72), let order = reader.word(at: 96),
      let length = reader.word(at: 100)
    else { throw refusal("it is too short") }
    guard incompatible == 0 else { throw refusal(Self.reason(incompatible)) }
    guard encryption == 0 else { throw refusal("it is encrypted") }
    guard snapshots == 0 else { throw refusal("it has snapshots inside") }
    guard (9...21).contains(clusterBits), order == 4, 104...1024 ~= length, length.isMultiple(of: 8) else {
      throw refusal("its header makes no sense")
    }
    let cluster = Int64(1) << Int64(clusterBits)
    guard let bytesOfSize = Int64(exactly: size), let table = Int64(exactly: tableOffset),
      let references = Int64(exactly: referenceTableOffset), tableLength <= 4 << 20, table.isMultiple(of: cluster),
      references.isMultiple(of: cluster), table > 0, references > 0, table < 1 << 56, references < 1 << 56
    else { throw refusal("its tables are where they can't be") }
    let covered = Int64(1) << (2 * Int64(clusterBits) - 3)
    guard bytesOfSize > 0, bytesOfSize <= Int64(tableLength).multipliedReportingOverflow(by: covered).partialValue
    else {
      throw refusal("its table does not fit its size")
    }
    var format: String?
    var position = Int(length)
    while true {
      guard let type = reader.word(at: position), let count = reader.word(at: position + 4), count <= 4096 else {
        throw refusal("its header has no end")
      }
      if type == 0 { break }
      guard let data = reader.bytes(at: position + 8, count: Int(count)) else { throw refusal("its header has no end") }
      if type == Self.backingFormatType {
        format = String(validating: data, as: UTF8.self)
      } else if !Self.harmlessTypes.contains(type) {
        throw refusal("it has an extension of unknown type 0x\(String(type, radix: 16))")
      }
      position += 8 + (Int(count) + 7) / 8 * 8
    }
    self.size = ByteCount(bytesOfSize)
    self.clusterBits = Int(clusterBits)
    self.tableLength = Int(tableLength)
    self.tableOffset = table
    self.referenceTableOffset = references
    self.referenceTableClusters = Int(referenceTableClusters)
    guard backingOffset != 0 else {
      guard format == nil else { throw refusal("it has a backing format and no backing file") }
      return
    }
    guard backingLength <= 1023, let offset = Int(exactly: backingOffset),
      let name = reader.bytes(at: offset, count: Int(backingLength)).flatMap({ String(validating: $0, as: UTF8.self) })
    else { throw refusal("its backing file's name can't be read") }
    guard let format = format.flatMap({ SharedImage.Format(rawValue: $0) }) else {
      throw refusal("it does not say that its backing file is raw or qcow2, but \(format ?? "nothing")")
    }
    backing = Backing(name: name, format: format)
  }

  /// A new image of nothing but what is behind it, that can grow to `reach` by its header alone. Takes up to `maximumSize`.
  init(size: ByteCount, backing: Backing?, reach: ByteCount = .gibibytes(16 << 10)) {
    self.size = size
    self.backing = backing
    clusterBits = 16
    let covered = Int64(1) << 29
    tableLength = Int((max(size, reach).bytes + covered - 1) / covered)
    tableOffset = 3 << 16
    referenceTableOffset = 1 << 16
    referenceTableClusters = 1
  }

  /// Says where the reference counts are.
  mutating func setReferences(at offset: Int64, clusters: Int) {
    (referenceTableOffset, referenceTableClusters) = (offset, clusters)
  }

  /// How many bytes a guest may be shown without a larger table.
  var reach: ByteCount { ByteCount(Int64(tableLength) << (2 * Int64(clusterBits) - 3)) }

  /// The bytes from the file's beginning to the end of the backing file's name, to be put in place of those that are there:
  /// everything that `init(_:of:)` has read stays where it is.
  var encoded: [UInt8] {
    var writer = BigEndianWriter()
    writer.append(Self.magic)
    writer.word(3)
    writer.long(0)
    writer.word(0)
    writer.word(UInt32(clusterBits))
    writer.long(UInt64(size.bytes))
    writer.word(0)
    writer.word(UInt32(tableLength))
    writer.long(UInt64(tableOffset))
    writer.long(UInt64(referenceTableOffset))
    writer.word(UInt32(referenceTableClusters))
    writer.word(0)
    writer.long(0)  // snapshots
    writer.long(0)  // incompatible features
    writer.long(0)  // compatible
    writer.long(0)  // autoclear: bitmaps, if there were any, are not used
    writer.word(4)
    writer.word(UInt32(Self.length))
    writer.long(0)  // compression, which is not used
    if let backing {
      let format = Array(backing.format.rawValue.utf8)
      writer.word(Self.backingFormatType)
      writer.word(UInt32(format.count))
      writer.append(format + [UInt8](repeating: 0, count: (8 - format.count % 8) % 8))
    }
    writer.long(0)
    if let backing {
      let name = Array(backing.name.utf8)
      writer.put(UInt64(writer.bytes.count), at: 8)
      writer.put(UInt32(name.count), at: 16)
      writer.append(name)
    }
    return writer.bytes
  }

  /// A whole file: header, reference counts and an empty table. Behind `bytes` it has nothing but zeros, up to `size`.
  var emptyFile: (bytes: [UInt8], size: ByteCount) {
    let cluster = 1 << clusterBits
    let clusters = 3 + (tableLength * 8 + cluster - 1) / cluster
    var bytes = encoded
    bytes += [UInt8](repeating: 0, count: 2 * cluster + 2 * clusters - bytes.count)
    // The reference table's one entry leads to the block behind it, where each cluster of the file counts once.
    bytes.replaceSubrange(cluster..<cluster + 8, with: BigEndianWriter.bytes(of: UInt64(2 * cluster)))
    for number in 0..<clusters { bytes[2 * cluster + 2 * number + 1] = 1 }
    return (bytes, ByteCount(Int64(clusters * cluster)))
  }

  private static func reason(_ incompatible: UInt64) -> String {
    switch incompatible {
    case 1: "it was not closed"
    case _ where incompatible & 2 != 0: "QEMU has marked it as corrupt"
    case _ where incompatible & 4 != 0: "its data lies in another file"
    default: "it has features that are not allowed (0x\(String(incompatible, radix: 16)))"
    }
  }
}
