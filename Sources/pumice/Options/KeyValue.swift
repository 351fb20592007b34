import ArgumentParser

/// A pair written as `key=value`; the value may be empty and may have more `=` in it.
struct KeyValue: ExpressibleByArgument, Sendable, Equatable {
  let key: String
  let value: String

  init?(argument: String) {
    guard let equals = argument.firstIndex(of: "="), equals > argument.startIndex else { return nil }
    key = String(argument[..<equals])
    value = String(argument[argument.index(after: equals)...])
  }
}

extension [KeyValue] {
  /// An object of texts; of equal keys the last one counts.
  var json: JSONValue {
    .object(Dictionary(map { ($0.key, .string($0.value)) }) { _, last in last })
  }
}
