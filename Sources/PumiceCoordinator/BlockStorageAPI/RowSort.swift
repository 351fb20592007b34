import PumiceModel

/// The order of a list: `sort=status:asc,created_at:desc`, or the older `sort_key` and `sort_dir`.
struct RowSort<Row: ListedRow>: Sendable {
  private var keys: [(key: Row.SortKey, isAscending: Bool)] = []

  /// Newest first.
  var isDefault: Bool { keys.isEmpty }

  init(_ query: Query) throws(StorageError) {
    for term in try SortTerm.all(in: query) { keys.append((try Self.key(term.name), term.isAscending)) }
    if keys.count == 1, keys[0].key == .createdAt, !keys[0].isAscending { keys = [] }
  }

  private static func key(_ text: String) throws(StorageError) -> Row.SortKey {
    if text == "display_name" { return .name }
    guard let key = Row.SortKey(rawValue: text) else {
      throw SortTerm.unknown(text, among: Row.SortKey.allCases.map(\.rawValue))
    }
    return key
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
