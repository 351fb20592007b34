import PumiceModel

/// The order of a list of volumes: `sort=status:asc,created_at:desc`, or the older `sort_key` and `sort_dir`.
struct VolumeSort: Sendable {
  private enum Key: String, CaseIterable {
    case id, name, size, status, bootable, host
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case zone = "availability_zone"
    case type = "volume_type_id"
  }

  private var keys: [(key: Key, isAscending: Bool)] = []

  /// Newest first.
  var isDefault: Bool { keys.isEmpty }

  init(_ query: Query) throws(StorageError) {
    if let sort = query["sort"] {
      for part in sort.split(separator: ",") {
        let pair = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { $0.trimmingSpaces }
        keys.append((try Self.key(pair[0]), try Self.isAscending(pair.count == 2 ? pair[1] : "desc", "sort")))
      }
    } else if query["sort_key"] != nil || query["sort_dir"] != nil {
      keys = [
        (try Self.key(query["sort_key"] ?? "created_at"), try Self.isAscending(query["sort_dir"] ?? "desc", "sort_dir"))
      ]
    }
    if keys.count == 1, keys[0].key == .createdAt, !keys[0].isAscending { keys = [] }
  }

  private static func key(_ text: String) throws(StorageError) -> Key {
    if text == "display_name" { return .name }
    guard let key = Key(rawValue: text) else {
      let known = Key.allCases.map(\.rawValue).joined(separator: ", ")
      throw .invalid("sort", "can be by \(known), not by '\(text.prefix(40))'.")
    }
    return key
  }

  private static func isAscending(_ text: String, _ field: String) throws(StorageError) -> Bool {
    switch text {
    case "asc": true
    case "desc", "": false
    default: throw .invalid(field, "can be asc or desc, not '\(text.prefix(40))'.")
    }
  }

  /// Whether one row comes before another; rows that are equal by all keys go by id, so that the order is always the same.
  func precedes(_ left: VolumeRow, _ right: VolumeRow) -> Bool {
    for (key, isAscending) in keys {
      let order = Self.compare(left, right, by: key)
      if order != 0 { return (order < 0) == isAscending }
    }
    return (left.volume.id < right.volume.id) == (keys.last?.isAscending ?? false) && left.volume.id != right.volume.id
  }

  private static func compare(_ left: VolumeRow, _ right: VolumeRow, by key: Key) -> Int {
    let (one, other) = (left.volume, right.volume)
    return switch key {
    case .id: order(one.id, other.id)
    case .name: order(one.name, other.name)
    case .size: order(one.size, other.size)
    case .status: order(left.status, right.status)
    case .bootable: 0
    case .host: order(one.pool?.description ?? "", other.pool?.description ?? "")
    case .createdAt: order(one.createdAt, other.createdAt)
    case .updatedAt: order(one.updatedAt?.milliseconds ?? 0, other.updatedAt?.milliseconds ?? 0)
    case .zone: order(one.availabilityZone ?? "", other.availabilityZone ?? "")
    case .type: order(one.type, other.type)
    }
  }

  private static func order<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
    left < right ? -1 : left == right ? 0 : 1
  }
}

extension Substring {
  fileprivate var trimmingSpaces: String { String(self).trimmed }
}
