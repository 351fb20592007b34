/// A number of bytes. Gibibytes appear only at the edge, in the Block Storage API.
public struct ByteCount: Hashable, Sendable, Comparable, Codable, AdditiveArithmetic, CustomStringConvertible {
  public var bytes: Int64

  public init(_ bytes: Int64) { self.bytes = bytes }

  /// - Precondition: the result fits into 63 bits (`count` is at most 8,589,934,591).
  public static func gibibytes(_ count: Int) -> Self { Self(Int64(count) << 30) }
  public static func mebibytes(_ count: Int) -> Self { Self(Int64(count) << 20) }

  public static let zero = Self(0)

  /// The least number of gibibytes that hold this: what a quota and the Block Storage API count.
  public var gibibytesRoundedUp: Int { Int((bytes >> 30) + (bytes & 0x3FFF_FFFF == 0 ? 0 : 1)) }
  /// For capacity figures, which Cinder gives as fractions.
  public var gibibytes: Double { Double(bytes) / Double(1 << 30) }

  public static func + (left: Self, right: Self) -> Self { Self(left.bytes + right.bytes) }
  public static func - (left: Self, right: Self) -> Self { Self(left.bytes - right.bytes) }
  public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }

  /// The part of this that a factor leaves, rounded down and never over `Int64.max`.
  public func scaled(by factor: Double) -> Self {
    let product = Double(bytes) * factor
    return product >= Double(Int64.max) ? Self(.max) : Self(Int64(product))
  }

  public var description: String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var value = Double(bytes)
    var unit = 0
    while abs(value) >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    let tenths = Int64((value * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(abs(tenths % 10)) \(units[unit])"
  }

  public init(from decoder: any Decoder) throws {
    bytes = try decoder.singleValueContainer().decode(Int64.self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(bytes)
  }
}
