import PumiceModel

@testable import PumiceCoordinator

extension Schema {
  /// Why a value is not what this says; `nil` where it is.
  func difference(from value: JSONValue, at path: String = "$") -> String? {
    switch (self, value) {
    case (.anything, _), (.nothing, .null), (.integer(nil), .integer), (.number, .integer), (.number, .number),
      (.flag, .bool), (.form, .string), (.pattern, .string):
      return nil
    case (.text(let least, let most), .string(let text)):
      return (least...most).contains(text.unicodeScalars.count)
        ? nil : "\(path) has \(text.unicodeScalars.count) characters"
    case (.word(let words), .string(let text)): return words.contains(text) ? nil : "\(path) is \(text)"
    case (.integer(let range?), .integer(let number)): return range.contains(number) ? nil : "\(path) is \(number)"
    case (.list(let schema), .array(let elements)):
      return elements.enumerated().lazy.compactMap { schema.difference(from: $1, at: "\(path)[\($0)]") }.first
    case (.dictionary(let schema), .object(let members)):
      return members.lazy.compactMap { schema.difference(from: $1, at: "\(path).\($0)") }.first
    case (.object(let required, let optional, let rest), .object(let members)):
      if let missing = required.keys.first(where: { members[$0] == nil }) { return "\(path).\(missing) is missing" }
      for (name, value) in members {
        guard let schema = required[name] ?? optional[name] ?? rest else { return "\(path).\(name) is too much" }
        if let difference = schema.difference(from: value, at: "\(path).\(name)") { return difference }
      }
      return nil
    case (.either(let schemas), _):
      let differences = schemas.map { $0.difference(from: value, at: path) }
      return differences.contains(nil) ? nil : differences.compactMap(\.self).joined(separator: ", and ")
    case (.shared(let name), _):
      guard let schema = OperationDescription.shared[name] else { return "\(path): there is no schema \(name)" }
      return schema.difference(from: value, at: path)
    default: return "\(path) is \(value.excerpt)"
    }
  }
}
