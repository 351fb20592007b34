/// What a JSON value must be: JSON Schema (draft 2020-12, that of OpenAPI 3.1), as far as requests and answers here need it.
indirect enum Schema: Sendable {
  case anything
  case nothing
  case text(atLeast: Int = 0, atMost: Int = 255)
  /// A text of this form (`uuid`, `date-time`, …).
  case form(String)
  case pattern(String)
  /// One of these texts.
  case word([String])
  case integer(ClosedRange<Int>? = nil)
  case number
  case flag
  case list(Schema)
  /// Texts, or whatever else, by name.
  case dictionary(Schema)
  /// Members that must be there, and those that may. `rest` is what others are; `nil` where there are none.
  case object([String: Schema], optional: [String: Schema] = [:], rest: Schema? = nil)
  case either([Schema])
  /// One of those that the whole description shares.
  case shared(String)

  static let id = Schema.form("uuid")
  static let texts = Schema.dictionary(.text())

  /// The value, or none.
  func orNull() -> Schema { .either([self, .nothing]) }

  /// An answer's object: microversions add members to it, so that none is excluded.
  static func shown(_ members: [String: Schema], optional: [String: Schema] = [:]) -> Schema {
    .object(members, optional: optional, rest: .anything)
  }

  /// An object whose one member is this.
  static func one(_ name: String, _ schema: Schema) -> Schema { .object([name: schema]) }

  var json: JSONValue {
    switch self {
    case .anything: return [:]
    case .nothing: return ["type": "null"]
    // What control characters have no place in is short.
    case .text(let least, let most) where most <= 255:
      return ["type": "string", "pattern": .string("^[^\\x00-\\x1f\\x7f-\\x9f]{\(least),\(most)}$")]
    case .text(let least, let most):
      return ["type": "string", "minLength": .integer(least), "maxLength": .integer(most)]
    case .form(let form): return ["type": "string", "format": .string(form)]
    case .pattern(let pattern): return ["type": "string", "pattern": .string(pattern)]
    case .word(let words):
      return ["type": "string", "enum": .array(words.map { .string($0) })]
    case .integer(let range):
      var members: [String: JSONValue] = ["type": "integer"]
      members["minimum"] = range.map { .integer($0.lowerBound) }
      members["maximum"] = range.map { .integer($0.upperBound) }
      return .object(members)
    case .number: return ["type": "number"]
    case .flag: return ["type": "boolean"]
    case .list(let element): return ["type": "array", "items": element.json]
    case .dictionary(let value): return ["type": "object", "additionalProperties": value.json]
    case .object(let required, let optional, let rest):
      var members: [String: JSONValue] = [
        "type": "object", "properties": .object(required.merging(optional) { one, _ in one }.mapValues(\.json)),
      ]
      if !required.isEmpty { members["required"] = .array(required.keys.sorted().map { .string($0) }) }
      members["additionalProperties"] = rest?.json ?? false
      return .object(members)
    case .either(let schemas): return ["anyOf": .array(schemas.map(\.json))]
    case .shared(let name): return ["$ref": .string("#/components/schemas/\(name)")]
    }
  }
}
