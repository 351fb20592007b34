import PumiceModel

/// One part of a list's order, as a query says it.
struct SortTerm: Sendable {
  let name: String
  let isAscending: Bool

  /// `sort=status:asc,created_at:desc`, or the older `sort_key` and `sort_dir`. Without a direction it goes down.
  ///
  /// - Parameter fallback: What `sort_dir` alone is about.
  static func all(in query: Query, byDefault fallback: String = "created_at") throws(StorageError) -> [SortTerm] {
    if let sort = query["sort"] {
      var terms: [SortTerm] = []
      for part in sort.split(separator: ",") {
        let pair = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map {
          String($0).trimmed
        }
        terms.append(SortTerm(name: pair[0], isAscending: try isAscending(pair.count == 2 ? pair[1] : "", "sort")))
      }
      return terms
    }
    guard query["sort_key"] != nil || query["sort_dir"] != nil else { return [] }
    return [
      SortTerm(
        name: query["sort_key"] ?? fallback, isAscending: try isAscending(query["sort_dir"] ?? "", "sort_dir"))
    ]
  }

  private static func isAscending(_ text: String, _ field: String) throws(StorageError) -> Bool {
    switch text {
    case "asc": true
    case "desc", "": false
    default: throw .invalid(field, "can be asc or desc, not '\(text.prefix(40))'.")
    }
  }

  static func unknown(_ name: String, among known: [String]) -> StorageError {
    .invalid("sort", "can be by \(known.joined(separator: ", ")), not by '\(name.prefix(40))'.")
  }
}

/// The order of a list whose elements are in no index.
struct ListSort<Element> {
  /// Below 0 where the first comes before the other, above 0 where after.
  typealias Comparison = (Element, Element) -> Int

  private let keys: [(compare: Comparison, isAscending: Bool)]

  init(_ keys: [(compare: Comparison, isAscending: Bool)]) { self.keys = keys }

  /// - Parameter comparisons: What the list can be sorted by, by its name in a query.
  init(
    _ query: Query, byDefault fallback: String = "created_at", _ comparisons: [String: Comparison]
  ) throws(StorageError) {
    var keys: [(compare: Comparison, isAscending: Bool)] = []
    for term in try SortTerm.all(in: query, byDefault: fallback) {
      guard let compare = comparisons[term.name] else {
        throw SortTerm.unknown(term.name, among: comparisons.keys.sorted())
      }
      keys.append((compare, term.isAscending))
    }
    self.keys = keys
  }

  /// Those that are equal by all keys stay in the order in which they are.
  func applied(to elements: [Element]) -> [Element] {
    guard !keys.isEmpty else { return elements }
    return elements.enumerated().sorted { left, right in
      for (compare, isAscending) in keys {
        let order = compare(left.element, right.element)
        if order != 0 { return (order < 0) == isAscending }
      }
      return left.offset < right.offset
    }.map(\.element)
  }
}

extension Call {
  private static var ofEveryList: Set<String> {
    ["limit", "offset", "marker", "sort", "sort_key", "sort_dir", "all_tenants", "with_count"]
  }

  /// Refuses, from 3.31 on as Cinder does, filters that a list does not have.
  func refuseUnknownFilters(of collection: String, except filters: Set<String>) throws(StorageError) {
    guard version >= Microversion(3, 31) else { return }
    for (name, _) in query.items where !filters.contains(name) && !Self.ofEveryList.contains(name) {
      throw .invalid(String(name.prefix(64)), "is not a filter of \(collection).")
    }
  }
}
