import PumiceModel

/// Values that are good for a while; never more than so many of them.
struct ExpiringCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
  private struct Entry {
    let value: Value
    let until: Timestamp
  }

  private let limit: Int
  private var entries: [Key: Entry] = [:]

  init(limit: Int) {
    precondition(limit > 0)
    self.limit = limit
  }

  var count: Int { entries.count }

  func value(_ key: Key, at now: Timestamp) -> Value? {
    entries[key].flatMap { now < $0.until ? $0.value : nil }
  }

  /// Keeps the value until then. Where there is no room, what is over goes first, and then the half that ends soonest.
  mutating func keep(_ value: Value, for key: Key, until: Timestamp, at now: Timestamp) {
    if entries.count >= limit, entries[key] == nil {
      entries = entries.filter { now < $0.value.until }
      if entries.count >= limit {
        let middle = entries.values.map(\.until).sorted()[limit / 2]
        entries = entries.filter { $0.value.until > middle }
      }
    }
    entries[key] = Entry(value: value, until: until)
  }

  mutating func forget(_ key: Key) { entries[key] = nil }
}
