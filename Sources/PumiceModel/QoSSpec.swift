/// Named rules of service for volumes whose type has them.
///
/// Those for the front end are limits of the disk in the guest, in force from the next attach on. Those for the back end are
/// kept as they are: no backend here reads them.
public struct QoSSpec: Sendable, Equatable, Codable {
  /// Who sees to them.
  public enum Consumer: String, Sendable, Codable, CaseIterable {
    case frontEnd = "front-end"
    case backEnd = "back-end"
    case both
  }

  public let id: QoSSpecID
  public let name: String
  public private(set) var consumer: Consumer
  public private(set) var rules: [String: String]
  public let createdAt: Timestamp

  /// - Throws: `invalid` where the front end is to keep rules that are no limits of a disk, or don't go together.
  public init(
    id: QoSSpecID, name: String, consumer: Consumer = .backEnd, rules: [String: String] = [:], createdAt: Timestamp
  ) throws(StorageError) {
    self.id = id
    self.name = name
    self.consumer = consumer
    self.rules = rules
    self.createdAt = createdAt
    try check()
  }

  /// The limits of a disk in the guest; `nil` where there are none.
  public var diskLimits: DiskLimits? {
    guard consumer != .backEnd, let limits = try? DiskLimits(texts: rules), !limits.values.isEmpty else { return nil }
    return limits
  }

  /// Adds rules or gives them other values.
  public mutating func set(_ changes: [String: String], consumer: Consumer? = nil) throws(StorageError) {
    var copy = self
    copy.rules.merge(changes) { _, new in new }
    copy.consumer = consumer ?? self.consumer
    guard copy.rules.count <= 128 else {
      throw .invalid("qos_specs", "must have at most 128 entries, not \(copy.rules.count).")
    }
    try copy.check()
    self = copy
  }

  /// Takes rules away. Throws `notFound` where one is not there; none is taken away then.
  public mutating func unset(_ keys: [String]) throws(StorageError) {
    var copy = self
    for key in keys where copy.rules.removeValue(forKey: key) == nil {
      throw StorageError(.notFound, "QoS spec \(name) has no key '\(key.prefix(64))'.")
    }
    try copy.check()
    self = copy
  }

  private func check() throws(StorageError) {
    if consumer != .backEnd { _ = try DiskLimits(texts: rules) }
  }
}
