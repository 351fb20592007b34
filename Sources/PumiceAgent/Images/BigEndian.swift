/// Numbers in bytes, the most significant byte first; `nil` for what lies outside.
struct BigEndianReader: Sendable {
  private let content: [UInt8]

  init(_ bytes: [UInt8]) { content = bytes }

  func word(at offset: Int) -> UInt32? { number(at: offset, 4).map { UInt32($0) } }

  func long(at offset: Int) -> UInt64? { number(at: offset, 8) }

  func bytes(at offset: Int, count: Int) -> [UInt8]? {
    guard offset >= 0, count >= 0, offset <= content.count, count <= content.count - offset else { return nil }
    return Array(content[offset..<offset + count])
  }

  private func number(at offset: Int, _ count: Int) -> UInt64? {
    bytes(at: offset, count: count)?.reduce(0) { $0 << 8 | UInt64($1) }
  }
}

/// The other direction.
struct BigEndianWriter: Sendable {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ more: [UInt8]) { bytes += more }
  mutating func word(_ number: UInt32) { bytes += Self.bytes(of: number) }
  mutating func long(_ number: UInt64) { bytes += Self.bytes(of: number) }

  mutating func put(_ number: some FixedWidthInteger, at offset: Int) {
    let new = Self.bytes(of: number)
    bytes.replaceSubrange(offset..<offset + new.count, with: new)
  }

  static func bytes(of number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }
}
