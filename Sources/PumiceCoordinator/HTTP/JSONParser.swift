import PumiceModel

/// Reads JSON (RFC 8259) strictly, from bytes that anybody may have sent: what is not JSON to the letter is refused, and
/// nothing nests deeper than `depthLimit`, so that no document makes the stack overflow.
struct JSONParser {
  static let depthLimit = 64

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  /// Throws `invalid`, with the place, for anything that is not exactly one JSON value.
  static func parse(_ bytes: UnsafeBufferPointer<UInt8>) throws(StorageError) -> JSONValue {
    var parser = JSONParser(bytes: bytes)
    parser.skipSpace()
    let value = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.error("has something after its end") }
    return value
  }

  private init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func error(_ problem: String) -> StorageError {
    .invalid("body", "is not valid JSON: it \(problem) (byte \(position)).")
  }

  private mutating func skipSpace() {
    while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard next == byte else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws(StorageError) -> JSONValue {
    guard depth < Self.depthLimit else { throw error("is nested more than \(Self.depthLimit) levels deep") }
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case let byte? where byte == UInt8(ascii: "-") || Self.isDigit(byte): return try number()
    case nil: throw error("ends too early")
    case _?: throw error("has no value where one must be")
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(StorageError) -> JSONValue {
    for index in 0..<word.utf8CodeUnitCount where !take(word.utf8Start[index]) {
      throw error("has no value where one must be")
    }
    return value
  }

  private mutating func object(depth: Int) throws(StorageError) -> JSONValue {
    position += 1
    var members: [String: JSONValue] = [:]
    skipSpace()
    if take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw error("has no member name where one must be") }
      let name = try string()
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw error("lacks a colon") }
      skipSpace()
      // Of two values one would be lost, and which one is anybody's guess (RFC 8259, 4).
      guard members.updateValue(try value(depth: depth + 1), forKey: name) == nil else {
        throw error("has a member name twice")
      }
      skipSpace()
      if take(UInt8(ascii: "}")) { return .object(members) }
      guard take(UInt8(ascii: ",")) else { throw error("lacks a comma or a closing brace") }
    }
  }

  private mutating func array(depth: Int) throws(StorageError) -> JSONValue {
    position += 1
    var elements: [JSONValue] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return .array(elements) }
    while true {
      skipSpace()
      elements.append(try value(depth: depth + 1))
      skipSpace()
      if take(UInt8(ascii: "]")) { return .array(elements) }
      guard take(UInt8(ascii: ",")) else { throw error("lacks a comma or a closing bracket") }
    }
  }

  private mutating func number() throws(StorageError) -> JSONValue {
    let start = position
    _ = take(UInt8(ascii: "-"))
    if take(UInt8(ascii: "0")) {
      if let byte = next, Self.isDigit(byte) { throw error("has a number with a leading zero") }
    } else {
      try digits()
    }
    var isWhole = true
    if take(UInt8(ascii: ".")) {
      isWhole = false
      try digits()
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      isWhole = false
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits()
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    return isWhole ? Int(text).map { .integer($0) } ?? .number(text) : .number(text)
  }

  private mutating func digits() throws(StorageError) {
    guard let byte = next, Self.isDigit(byte) else { throw error("has a number without digits") }
    while let byte = next, Self.isDigit(byte) { position += 1 }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private mutating func string() throws(StorageError) -> String {
    position += 1
    let start = position
    while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
    var text = try checked(start..<position)
    while true {
      guard let byte = next else { throw error("ends within a text") }
      position += 1
      switch byte {
      case UInt8(ascii: "\""): return text
      case UInt8(ascii: "\\"): text.unicodeScalars.append(try escaped())
      case ..<0x20: throw error("has a control character within a text")
      default:
        let start = position - 1
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
        text += try checked(start..<position)
      }
    }
  }

  private func checked(_ range: Range<Int>) throws(StorageError) -> String {
    guard let text = String(validating: bytes[range], as: UTF8.self) else { throw error("is not UTF-8") }
    return text
  }

  private mutating func escaped() throws(StorageError) -> Unicode.Scalar {
    guard let byte = next else { throw error("ends within a text") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try escapedScalar()
    default: throw error("has an unknown escape")
    }
  }

  private mutating func escapedScalar() throws(StorageError) -> Unicode.Scalar {
    let first = try hexadecimalWord()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard (0xD800...0xDBFF).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
      throw error("has half a surrogate pair")
    }
    let second = try hexadecimalWord()
    guard (0xDC00...0xDFFF).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw error("has half a surrogate pair") }
    return scalar
  }

  private mutating func hexadecimalWord() throws(StorageError) -> UInt32 {
    var word: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw error("has an escape without four digits")
      }
      word = word << 4 | UInt32(digit)
      position += 1
    }
    return word
  }
}
