import PumiceModel

/// The order of a list: `sort=status:asc,created_at:desc`, or the older `sort_key` and `sort_dir`.
struct RowSort<Row: ListedRow>: Sendable {
  private var keys: [(key: Row.SortKey, isAscending: Bool)] = []

  /// Newest first.
  var isDefault: Bool { keys.isEmpty }

  init(_ query: Query) throws(StorageError) {
    if let sort = query["sort"] {
      for part in sort.split(separator: ",") {
        let pair = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map {
          String($0).trimmed
        }
        keys.append((try Self.key(pair[0]), try Self.isAscending(pair.count == 2 ? pair[1] : "desc", "sort")))
      }
    } else if query["sort_key"] != nil || query["sort_dir"] != nil {
      keys = [
        (try Self.key(query["sort_key"] ?? "created_at"), try Self.isAscending(query["sort_dir"] ?? "desc", "sort_dir"))
      ]
    }
    if keys.count == 1, keys[0].key == .createdAt, !keys[0].isAscending { keys = [] }
  }

  private static func key(_ text: String) throws(StorageError) -> Row.SortKey {
    if text == "display_name" { return .name }
    guard let key = Row.SortKey(rawValue: text) else {
      let known = Row.SortKey.allCases.map(\.rawValue).joined(separator: ", ")
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
  func precedes(_ left: Row, _ right: Row) -> Bool {
    for (key, isAscending) in keys {
      let order = Row.compare(left, right, by: key)
      if order != 0 { return (order < 0) == isAscending }
    }
    return (left.id < right.id) == (keys.last?.isAscending ?? false) && left.id != right.id
  }
}
