import Foundation
import PumiceModel

/// The query of a URL, in its order, decoded.
struct Query: Sendable {
  private(set) var items: [(name: String, value: String)] = []

  init(_ text: String?) {
    guard let text, !text.isEmpty else { return }
    for part in text.split(separator: "&") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      items.append((Self.decoded(pair[0]), pair.count == 2 ? Self.decoded(pair[1]) : ""))
    }
  }

  private static func decoded(_ text: Substring) -> String {
    guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else { return String(text) }
    return String(text.map { $0 == "+" ? " " : $0 }).removingPercentEncoding ?? String(text)
  }

  subscript(name: String) -> String? { items.first { $0.name == name }?.value }

  func flag(_ name: String) throws(StorageError) -> Bool {
    guard let text = self[name] else { return false }
    guard let flag = Bool(openStack: text) else {
      throw .invalid(name, "must be true or false, not '\(text.prefix(40))'.")
    }
    return flag
  }

  func integer(_ name: String, atLeast least: Int) throws(StorageError) -> Int? {
    guard let text = self[name] else { return nil }
    guard let number = Int(text), number >= least else {
      throw .invalid(name, "must be a whole number of at least \(least), not '\(text.prefix(40))'.")
    }
    return number
  }

  /// Refuses what is not among these, as Nova does in its later versions.
  func refuseUnknown(except known: Set<String>) throws(StorageError) {
    if let unknown = items.first(where: { !known.contains($0.name) }) {
      throw .invalid(String(unknown.name.prefix(64)), "is not known in this query.")
    }
  }

  /// The same query with another value, encoded for a link.
  func text(setting name: String, to value: String) -> String {
    (items.filter { $0.name != name } + [(name, value)])
      .map { "\(Self.encoded($0.name))=\(Self.encoded($0.value))" }.joined(separator: "&")
  }

  static func encoded(_ text: String) -> String {
    text.addingPercentEncoding(withAllowedCharacters: unreserved) ?? ""
  }

  private static let unreserved = CharacterSet(
    charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
}
