/// JSON as a request brought it, with numbers as they were written: `1`, `1.0` and `"1"` are three things.
enum JSONValue: Sendable, Equatable {
  case null
  case bool(Bool)
  /// Written without fraction and exponent, and within 64 bits.
  case integer(Int)
  /// Any other number, as written.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// How a message about a wrong value shows it: short, and never a whole document.
  var excerpt: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let text): Self.shortened(text)
    case .string(let text): "the text '\(Self.shortened(text))'"
    case .array: "a list"
    case .object: "an object"
    }
  }

  private static func shortened(_ text: String) -> String {
    let visible = text.unicodeScalars.prefix(40).map { $0.isControl ? "\u{FFFD}" : String($0) }.joined()
    return text.unicodeScalars.count > 40 ? visible + "…" : visible
  }
}

extension Unicode.Scalar {
  /// Whether it is one of the C0 and C1 control characters, NUL and line breaks among them.
  var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}
