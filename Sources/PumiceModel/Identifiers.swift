/// The identity of one thing of a kind: a UUID (RFC 9562), written in lower case.
///
/// Two words instead of a string: identities are compared, hashed and copied far more often than printed.
public struct Identifier<Kind>: Hashable, Sendable, Comparable, Codable, LosslessStringConvertible {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// Makes a random identity (version 4) from the given dice.
  public init(using generator: inout some RandomNumberGenerator) {
    high = (generator.next() & 0xFFFF_FFFF_FFFF_0FFF) | 0x4000
    low = (generator.next() & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
  }

  public static func random() -> Self {
    var generator = SystemRandomNumberGenerator()
    return Self(using: &generator)
  }

  /// Reads a UUID in either case, with its four hyphens or, as OpenStack's clients may send it, with none.
  public init?(_ description: String) {
    let text = description.utf8
    guard text.count == 36 || text.count == 32 else { return nil }
    let hyphenated = text.count == 36
    var words: (UInt64, UInt64) = (0, 0)
    var digits = 0
    for (offset, byte) in text.enumerated() {
      if hyphenated, offset == 8 || offset == 13 || offset == 18 || offset == 23 {
        guard byte == UInt8(ascii: "-") else { return nil }
        continue
      }
      guard let nibble = Self.nibble(byte) else { return nil }
      if digits < 16 { words.0 = words.0 << 4 | nibble } else { words.1 = words.1 << 4 | nibble }
      digits += 1
    }
    self.init(high: words.0, low: words.1)
  }

  public var description: String {
    String(unsafeUninitializedCapacity: 36) { buffer in
      var position = 0
      for index in 0..<32 {
        if index == 8 || index == 12 || index == 16 || index == 20 {
          buffer[position] = UInt8(ascii: "-")
          position += 1
        }
        let word = index < 16 ? high : low
        let nibble = UInt8((word >> UInt64((15 - index % 16) * 4)) & 0xF)
        buffer[position] = nibble < 10 ? nibble + UInt8(ascii: "0") : nibble - 10 + UInt8(ascii: "a")
        position += 1
      }
      return position
    }
  }

  public static func < (left: Self, right: Self) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Self(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is not a UUID.")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }

  private static func nibble(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }
}

public typealias VolumeID = Identifier<Volume>
public typealias SnapshotID = Identifier<Snapshot>
public typealias AttachmentID = Identifier<Attachment>
/// The UUID of a libvirt domain.
public typealias InstanceID = Identifier<Instance>
public typealias VolumeTypeID = Identifier<VolumeType>
public typealias MessageID = Identifier<UserMessage>
public typealias GroupTypeID = Identifier<GroupType>
public typealias GroupID = Identifier<Group>
public typealias GroupSnapshotID = Identifier<GroupSnapshot>
public typealias TransferID = Identifier<Transfer>
public typealias QoSSpecID = Identifier<QoSSpec>
public typealias VolumeEncryptionID = Identifier<VolumeEncryption>

/// The name of a machine that runs an agent. Unique in a fleet.
public typealias NodeName = String
/// A tenant, as the identity service calls it. Any text without control characters, at most 255 characters.
public typealias ProjectID = String
/// How often the desired state of a row has changed. An agent refuses an older one than it has seen.
public typealias Revision = Int64

/// What the scheduler picks: `node@backend#pool`, as Cinder writes it.
public struct PoolName: Hashable, Sendable, Comparable, Codable, LosslessStringConvertible {
  public let node: NodeName
  public let backend: String
  public let pool: String

  public init(node: NodeName, backend: String, pool: String) {
    self.node = node
    self.backend = backend
    self.pool = pool
  }

  public init?(_ description: String) {
    guard let at = description.lastIndex(of: "@"),
      let hash = description[at...].firstIndex(of: "#")
    else { return nil }
    let node = description[..<at]
    let backend = description[description.index(after: at)..<hash]
    let pool = description[description.index(after: hash)...]
    guard !node.isEmpty, !backend.isEmpty, !pool.isEmpty else { return nil }
    self.init(node: String(node), backend: String(backend), pool: String(pool))
  }

  public var description: String { "\(node)@\(backend)#\(pool)" }

  public static func < (left: Self, right: Self) -> Bool {
    (left.node, left.backend, left.pool) < (right.node, right.backend, right.pool)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Self(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\"\(text)\" is not a pool name (node@backend#pool).")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
