import PumiceModel

/// Where an image keeps what it holds itself (docs/interop/qcow2.txt of QEMU, "Cluster mapping").
struct QCOW2Map: Sendable {
  enum Content: Equatable {
    /// In the image's file, from there on.
    case data(at: Int64)
    case zeros
    /// It has none: the layer behind it is looked at.
    case absent
  }

  struct Run: Equatable {
    var range: Range<Int64>
    var content: Content
  }

  let header: QCOW2Header
  private let file: any ShareFile
  private let subject: String
  private let table: [UInt64]

  /// Reads the first table.
  static func open(_ file: any ShareFile, of subject: String) async throws(StorageError) -> QCOW2Map {
    let header = try QCOW2Header(try await file.read(QCOW2Header.readLength, at: 0), of: subject)
    let reader = BigEndianReader(try await file.read(header.tableLength * 8, at: header.tableOffset))
    var table: [UInt64] = []
    for index in 0..<header.tableLength {
      guard let entry = reader.long(at: index * 8) else {
        throw StorageError(.conflict, "\(subject) can't be read: its table is cut off.")
      }
      table.append(entry)
    }
    return QCOW2Map(header: header, file: file, subject: subject, table: table)
  }

  /// What there is, from the beginning of the range to its end; both must be multiples of a cluster, but for the image's end.
  func runs(in range: Range<Int64>) async throws(StorageError) -> [Run] {
    let clusterBits = Int64(header.clusterBits)
    let regionBits = 2 * clusterBits - 3
    var runs: [Run] = []
    var position = range.lowerBound
    while position < range.upperBound {
      let region = position >> regionBits
      let end = min((region + 1) << regionBits, range.upperBound)
      let offset = try offset(of: region < table.count ? table[Int(region)] : 0)
      if offset == 0 {
        append(Run(range: position..<end, content: .absent), to: &runs)
      } else {
        let (first, last) = (position >> clusterBits, (end - 1) >> clusterBits)
        let mask = Int64(1) << (clusterBits - 3) - 1
        let bytes = try await file.read(Int(last - first + 1) * 8, at: offset + (first & mask) * 8)
        let reader = BigEndianReader(bytes)
        for cluster in first...last {
          guard let entry = reader.long(at: Int(cluster - first) * 8) else {
            throw StorageError(.conflict, "\(subject) can't be read: one of its tables is cut off.")
          }
          let part = max(position, cluster << clusterBits)..<min(end, (cluster + 1) << clusterBits)
          append(Run(range: part, content: try content(of: entry, part.lowerBound & (1 << clusterBits - 1))), to: &runs)
        }
      }
      position = end
    }
    return runs
  }

  private func content(of entry: UInt64, _ offsetInCluster: Int64) throws(StorageError) -> Content {
    guard entry & 1 << 62 == 0 else {
      throw StorageError(.conflict, "\(subject) can't be read: it has compressed clusters.")
    }
    if entry & 1 != 0 { return .zeros }
    let offset = try offset(of: entry)
    return offset == 0 ? .absent : .data(at: offset + offsetInCluster)
  }

  private func offset(of entry: UInt64) throws(StorageError) -> Int64 {
    let offset = Int64(entry & 0x00ff_ffff_ffff_fe00)
    guard offset & (1 << Int64(header.clusterBits) - 1) == 0 else {
      throw StorageError(.conflict, "\(subject) can't be read: a table leads into the middle of a cluster.")
    }
    return offset
  }

  private func append(_ run: Run, to runs: inout [Run]) {
    guard let last = runs.last else { return runs.append(run) }
    let continues =
      switch (last.content, run.content) {
      case (.zeros, .zeros), (.absent, .absent): true
      case (.data(let before), .data(let now)): before + Int64(last.range.count) == now
      default: false
      }
    if continues {
      runs[runs.count - 1].range = last.range.lowerBound..<run.range.upperBound
    } else {
      runs.append(run)
    }
  }
}
