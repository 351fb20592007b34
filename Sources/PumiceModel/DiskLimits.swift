/// How much a guest may do with a disk, in the words of libvirt's `<iotune>`: bytes and operations per second, how much more in
/// a burst, and how many seconds that may last. What is 0 or not there is not limited.
///
/// What goes together is libvirt's rule ("Hard drives, floppy disks, CDROMs", `iotune`) and QEMU's (`util/throttle.c`): a disk
/// with any other set would not start.
public struct DiskLimits: Sendable, Hashable, Codable {
  /// In the order in which they are written.
  public enum Key: String, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
    case totalBytes = "total_bytes_sec"
    case readBytes = "read_bytes_sec"
    case writeBytes = "write_bytes_sec"
    case totalOperations = "total_iops_sec"
    case readOperations = "read_iops_sec"
    case writeOperations = "write_iops_sec"
    case totalBytesBurst = "total_bytes_sec_max"
    case readBytesBurst = "read_bytes_sec_max"
    case writeBytesBurst = "write_bytes_sec_max"
    case totalOperationsBurst = "total_iops_sec_max"
    case readOperationsBurst = "read_iops_sec_max"
    case writeOperationsBurst = "write_iops_sec_max"
    case totalBytesBurstLength = "total_bytes_sec_max_length"
    case readBytesBurstLength = "read_bytes_sec_max_length"
    case writeBytesBurstLength = "write_bytes_sec_max_length"
    case totalOperationsBurstLength = "total_iops_sec_max_length"
    case readOperationsBurstLength = "read_iops_sec_max_length"
    case writeOperationsBurstLength = "write_iops_sec_max_length"
    /// The bytes that count as one operation; a larger one counts as several.
    case operationSize = "size_iops_sec"
  }

  /// QEMU's `THROTTLE_VALUE_MAX`.
  public static let greatest = 1_000_000_000_000_000

  /// Never 0.
  public let values: [Key: Int]

  /// - Throws: `invalid` with the key, where the limits are out of bounds or don't go together.
  public init(_ values: [Key: Int]) throws(StorageError) {
    self.values = values.filter { $0.value != 0 }
    try check()
  }

  /// Reads whole numbers by the names of the keys.
  ///
  /// - Throws: `invalid` also for a name that is none of them.
  public init(texts: [String: String]) throws(StorageError) {
    var values: [Key: Int] = [:]
    for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
      guard let key = Key(rawValue: name) else {
        throw .invalid(
          name, "is no limit of a disk; there are \(Key.allCases.map(\.rawValue).joined(separator: ", ")).")
      }
      guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let value = Int(text) else {
        throw .invalid(name, "must be a whole number, not '\(text.prefix(40))'.")
      }
      values[key] = value
    }
    try self.init(values)
  }

  public init(from decoder: any Decoder) throws {
    try self.init(decoder.singleValueContainer().decode([Key: Int].self))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(values)
  }

  private func check() throws(StorageError) {
    for key in Key.allCases {
      guard let value = values[key] else { continue }
      guard 1...Self.greatest ~= value else {
        throw .invalid(key.rawValue, "must be from 0 to \(Self.greatest), not \(value).")
      }
    }
    for unit in ["bytes", "iops"] {
      for suffix in ["_sec", "_sec_max"] {
        let parts = ["read", "write"].map { "\($0)_\(unit)\(suffix)" }
        guard has("total_\(unit)\(suffix)"), let part = parts.first(where: has) else { continue }
        throw .invalid(part, "and total_\(unit)\(suffix) exclude each other.")
      }
      for part in ["total", "read", "write"] { try checkBurst(of: "\(part)_\(unit)_sec") }
    }
    let operations: [Key] = [.totalOperations, .readOperations, .writeOperations]
    guard values[.operationSize] == nil || operations.contains(where: { values[$0] != nil }) else {
      throw .invalid(Key.operationSize.rawValue, "needs a limit of operations, such as total_iops_sec.")
    }
  }

  private func checkBurst(of name: String) throws(StorageError) {
    let (burst, length) = ("\(name)_max", "\(name)_max_length")
    if let most = value(burst) {
      guard let usual = value(name) else { throw .invalid(burst, "needs \(name).") }
      guard most >= usual else { throw .invalid(burst, "must be at least \(name), \(usual); it is \(most).") }
    }
    if let seconds = value(length) {
      guard let most = value(burst) else { throw .invalid(length, "needs \(burst).") }
      guard seconds <= Self.greatest / most else {
        throw .invalid(length, "must be at most \(Self.greatest / most) with this \(burst); it is \(seconds).")
      }
    }
  }

  private func has(_ name: String) -> Bool { value(name) != nil }
  private func value(_ name: String) -> Int? { Key(rawValue: name).flatMap { values[$0] } }
}
