import PumiceModel

/// A qcow2 image that is written from its beginning to its end, each cluster once (docs/interop/qcow2.txt of QEMU).
///
/// Nothing can be read of it before `finish`: the header is written last.
struct QCOW2Writer: Sendable {
  private var header: QCOW2Header
  private var table: [UInt64]
  /// The first cluster of the file that is free.
  private var next: Int64
  /// Up to where the guest's bytes are taken care of.
  private(set) var position: Int64 = 0

  private static let copied = UInt64(1) << 63

  init(size: ByteCount, backing: QCOW2Header.Backing?) {
    header = QCOW2Header(size: size, backing: backing)
    table = [UInt64](repeating: 0, count: header.tableLength)
    let tableClusters = (Int64(header.tableLength) * 8 + (1 << 16) - 1) >> 16
    // Cluster 0 is the header's; then comes the first table.
    header.tableOffset = 1 << 16
    next = 1 + tableClusters
  }

  /// How many of the guest's bytes one second table leads to: what is appended ends where such a part ends.
  static let region: Int64 = 1 << 29

  /// Appends the pieces of one region, from `position` on; what lies between them is left to what stands behind the image.
  mutating func append(
    _ pieces: [ImageReader.Piece], until end: Int64, to file: any ShareFile
  ) async throws(StorageError) {
    var entries = [UInt64](repeating: 0, count: 1 << 13)
    var targets: [ImageReader.Piece] = []
    let start = position & ~(Self.region - 1)
    for piece in pieces {
      guard piece.range.lowerBound & 0xffff == 0, piece.range.lowerBound >= position, piece.range.upperBound <= end
      else {
        throw StorageError(
          .conflict, "Images can't be merged whose clusters differ: bytes begin at \(piece.range.lowerBound).")
      }
      let (first, last) = (Int(piece.range.lowerBound - start) >> 16, Int(piece.range.upperBound - 1 - start) >> 16)
      guard let source = piece.source else {
        for index in first...last { entries[index] = 1 }
        continue
      }
      for index in first...last {
        entries[index] = Self.copied | UInt64(next + Int64(index - first)) << 16
      }
      let target = next << 16
      targets.append(ImageReader.Piece(range: target..<target + Int64(piece.range.count), source: source))
      next += Int64(last - first + 1)
    }
    if !pieces.isEmpty {
      try await PieceCopy(isFresh: true).write(targets, to: file)
      table[Int(start >> 29)] = Self.copied | UInt64(next) << 16
      var writer = BigEndianWriter()
      for entry in entries { writer.long(entry) }
      try await file.write(writer.bytes, at: next << 16)
      next += 1
    }
    position = end
  }

  /// Writes what leads to the clusters, and the header. Durable when the file is synced. Returns how long the file must be.
  mutating func finish(_ file: any ShareFile) async throws(StorageError) -> ByteCount {
    // Reference counts are two bytes for each cluster of the file, their own included.
    var blocks: Int64 = 1
    var tableClusters: Int64 = 1
    while true {
      let clusters = next + blocks + tableClusters
      let wanted = (clusters + (1 << 15) - 1) >> 15
      let wantedTable = (wanted + (1 << 13) - 1) >> 13
      if wanted == blocks, wantedTable == tableClusters { break }
      (blocks, tableClusters) = (wanted, wantedTable)
    }
    let total = next + blocks + tableClusters
    let (firstBlock, references) = (next, next + blocks)
    for block in 0..<blocks {
      let used = min(total - block << 15, 1 << 15)
      try await file.write(
        (0..<used).flatMap { _ in [0, 1] as [UInt8] }, at: (firstBlock + block) << 16)
    }
    var writer = BigEndianWriter()
    for block in 0..<blocks { writer.long(UInt64(firstBlock + block) << 16) }
    try await file.write(writer.bytes, at: references << 16)
    writer = BigEndianWriter()
    for entry in table { writer.long(entry) }
    try await file.write(writer.bytes, at: header.tableOffset)
    try await file.sync()
    header.setReferences(at: references << 16, clusters: Int(tableClusters))
    try await file.write(header.encoded, at: 0)
    return ByteCount(total << 16)
  }
}
