import PumiceModel

/// One JSON object of a request, read field by field. Whatever is wrong is thrown as `invalid`, with the field's name.
///
/// A field that is absent and one that is `null` are the same, as they are to OpenStack's clients.
struct RequestFields: Sendable {
  let values: [String: JSONValue]
  /// What stands before a field's name in messages, such as `metadata.`.
  private let prefix: String

  init(_ values: [String: JSONValue], prefix: String = "") {
    self.values = values
    self.prefix = prefix
  }

  func has(_ name: String) -> Bool { value(name) != nil }

  /// What was said about a field; `nil` where nothing was.
  func value(_ name: String) -> JSONValue? {
    guard let value = values[name], value != .null else { return nil }
    return value
  }

  /// A text without control characters, and without the white space around it.
  func text(
    _ name: String, atMost limit: Int = 255, mayBeEmpty: Bool = true, mayHaveLineBreaks: Bool = false
  ) throws(StorageError) -> String? {
    guard let value = value(name) else { return nil }
    guard case .string(let text) = value else {
      throw .invalid(prefix + name, "must be a text, not \(value.excerpt).")
    }
    let trimmed = text.trimmed
    if trimmed.isEmpty, !mayBeEmpty { throw .invalid(prefix + name, "must not be empty.") }
    try Self.check(trimmed, prefix + name, atMost: limit, mayHaveLineBreaks: mayHaveLineBreaks)
    return trimmed
  }

  func requiredText(_ name: String, atMost limit: Int = 255) throws(StorageError) -> String {
    guard let text = try text(name, atMost: limit, mayBeEmpty: false) else {
      throw .invalid(prefix + name, "is required.")
    }
    return text
  }

  /// A UUID; an empty text is none.
  func id<Kind>(_ name: String) throws(StorageError) -> Identifier<Kind>? {
    guard let text = try text(name), !text.isEmpty else { return nil }
    guard let id = Identifier<Kind>(text) else {
      throw .invalid(prefix + name, "must be a UUID, not '\(text.prefix(40))'.")
    }
    return id
  }

  /// A number written as a number, without a fraction.
  func integer(_ name: String, in range: ClosedRange<Int>) throws(StorageError) -> Int? {
    guard let value = value(name) else { return nil }
    guard case .integer(let number) = value, range.contains(number) else {
      throw .invalid(
        prefix + name,
        "must be a whole number from \(range.lowerBound) to \(range.upperBound), not \(value.excerpt).")
    }
    return number
  }

  func requiredInteger(_ name: String, in range: ClosedRange<Int>) throws(StorageError) -> Int {
    guard let number = try integer(name, in: range) else { throw .invalid(prefix + name, "is required.") }
    return number
  }

  /// `true` or `false`, also as the texts that OpenStack's clients send for them.
  func flag(_ name: String) throws(StorageError) -> Bool? {
    guard let value = value(name) else { return nil }
    switch value {
    case .bool(let flag): return flag
    case .string(let text):
      if let flag = Bool(openStack: text) { return flag }
    case .null, .integer, .number, .array, .object: break
    }
    throw .invalid(prefix + name, "must be true or false, not \(value.excerpt).")
  }

  /// An object whose values are all texts, such as metadata.
  func texts(_ name: String) throws(StorageError) -> [String: String]? {
    try object(name)?.allTexts()
  }

  /// This object as texts by name: at most 128, each name and each value of at most 255 characters.
  func allTexts() throws(StorageError) -> [String: String] {
    let object = prefix.isEmpty ? "body" : String(prefix.dropLast())
    guard values.count <= 128 else { throw .invalid(object, "must have at most 128 entries, not \(values.count).") }
    var texts: [String: String] = [:]
    for (key, value) in values {
      guard !key.isEmpty else { throw .invalid(object, "has an entry without a name.") }
      try Self.check(key, object, "has a name which", atMost: 255)
      guard case .string(let text) = value else {
        throw .invalid(prefix + key, "must be a text, not \(value.excerpt).")
      }
      try Self.check(text, prefix + key, atMost: 255)
      texts[key] = text
    }
    return texts
  }

  func object(_ name: String) throws(StorageError) -> RequestFields? {
    guard let value = value(name) else { return nil }
    guard case .object(let values) = value else {
      throw .invalid(prefix + name, "must be an object, not \(value.excerpt).")
    }
    return RequestFields(values, prefix: prefix + name + ".")
  }

  /// The object that a request consists of, such as `volume`; its own fields are named without it.
  func root(_ name: String) throws(StorageError) -> RequestFields {
    guard let fields = try object(name) else { throw .invalid(name, "is required.") }
    return RequestFields(fields.values)
  }

  /// Refuses fields that are not among these.
  func refuseUnknown(except known: Set<String>) throws(StorageError) {
    if let unknown = values.keys.filter({ !known.contains($0) }).min() {
      try Self.check(unknown, "body", "has a field whose name", atMost: 255)
      throw .invalid(prefix + unknown, "is not a field of this request.")
    }
  }

  /// Refuses fields that Cinder has and we don't, unless they ask for nothing.
  func refuseUnsupported(_ names: [String]) throws(StorageError) {
    for name in names {
      switch value(name) {
      case nil, .bool(false), .string(""): continue
      case .bool(true), .integer, .number, .string, .array, .object:
        throw .invalid(prefix + name, "is not supported yet; leave it out.")
      case .null: continue
      }
    }
  }

  private static func check(
    _ text: String, _ field: String, _ subject: String = "", atMost limit: Int, mayHaveLineBreaks: Bool = false
  ) throws(StorageError) {
    let subject = subject.isEmpty ? "" : subject + " "
    // Characters are at most four bytes: most texts need no counting.
    if text.utf8.count > limit, text.unicodeScalars.count > limit {
      throw .invalid(field, "\(subject)must have at most \(limit) characters, not \(text.unicodeScalars.count).")
    }
    for scalar in text.unicodeScalars where scalar.isControl {
      if mayHaveLineBreaks, scalar == "\n" || scalar == "\r" || scalar == "\t" { continue }
      let code = String(scalar.value, radix: 16, uppercase: true)
      throw .invalid(
        field,
        "\(subject)must not have control characters such as U+\(String(repeating: "0", count: 4 - code.count))\(code).")
    }
  }
}

extension String {
  /// Without spaces and line breaks at either end.
  var trimmed: String {
    var slice = self[...]
    while let first = slice.unicodeScalars.first, first.properties.isWhitespace { slice.unicodeScalars.removeFirst() }
    while let last = slice.unicodeScalars.last, last.properties.isWhitespace { slice.unicodeScalars.removeLast() }
    return String(slice)
  }
}

extension Bool {
  /// The words for yes and no that OpenStack's services take.
  init?(openStack text: String) {
    switch text.lowercased() {
    case "1", "t", "true", "on", "y", "yes": self = true
    case "0", "f", "false", "off", "n", "no": self = false
    default: return nil
    }
  }
}
