import FoundationEssentials
public import PumiceModel

/// JSON as both sides of the node API write and read it.
public enum WireJSON {
  /// Keys in a fixed order, so that equal values are equal bytes.
  public static func encode(_ value: some Encodable) throws(StorageError) -> [UInt8] {
    try encode(value, [.sortedKeys, .withoutEscapingSlashes])
  }

  /// The same as lines of text, for files and screens.
  public static func text(_ value: some Encodable) throws(StorageError) -> [UInt8] {
    try encode(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]) + [UInt8(ascii: "\n")]
  }

  private static func encode(
    _ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting
  ) throws(StorageError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = formatting
    do {
      return Array(try encoder.encode(value))
    } catch {
      throw StorageError(.failed, "Writing \(type(of: value)) as JSON failed.")
    }
  }

  /// Throws `invalid` with the path of the field that is missing or wrong. Fields that nobody knows are passed over.
  public static func decode<Value: Decodable>(
    _ type: Value.Type, from bytes: some Collection<UInt8>
  ) throws(StorageError) -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      throw invalid(error)
    }
  }

  /// The error in words that name the field, and never the value: that may be a secret.
  private static func invalid(_ error: any Error) -> StorageError {
    switch error as? DecodingError {
    case .keyNotFound(let key, let context): .invalid(path(context.codingPath + [key]), "is missing.")
    case .valueNotFound(_, let context): .invalid(path(context.codingPath), "must not be null.")
    case .typeMismatch(let type, let context): .invalid(path(context.codingPath), "must be \(word(for: type)).")
    case .dataCorrupted(let context) where !context.codingPath.isEmpty:
      .invalid(path(context.codingPath), "has a value that is not allowed.")
    // Foundation does not say where a number stands that does not fit.
    case .dataCorrupted, nil: .invalid("body", "is not valid JSON, or has a number that is too large or not whole.")
    @unknown default: .invalid("body", "can't be read.")
    }
  }

  private static func path(_ keys: [any CodingKey]) -> String {
    let path = keys.reduce(into: "") { path, key in
      if let index = key.intValue {
        path += "[\(index)]"
      } else {
        path += path.isEmpty ? key.stringValue : ".\(key.stringValue)"
      }
    }
    return path.isEmpty ? "body" : path
  }

  private static func word(for type: any Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is Int.Type, is Int64.Type, is UInt64.Type: "a whole number"
    case is Double.Type: "a number"
    case is [Any].Type: "a list"
    default: "an object"
    }
  }
}
