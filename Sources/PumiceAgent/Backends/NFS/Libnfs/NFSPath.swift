package import PumiceModel

/// A path in a share, from its root; it can't lead out of it.
///
/// Symbolic links on the way are followed within the share at most: libnfs resolves them itself, and refuses those that point
/// outside. A file's own name is never followed.
package struct NFSPath: Hashable, Sendable, CustomStringConvertible {
  /// Begins with a slash.
  let text: String

  package static let root = NFSPath(unchecked: "/")

  /// Throws `invalid` for what is no relative path of plain names.
  package init(_ relative: String) throws(StorageError) {
    let names = relative.split(separator: "/", omittingEmptySubsequences: false)
    let arePlain = names.allSatisfy { name in
      1...255 ~= name.utf8.count && name != "." && name != ".."
        && !name.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7f }
    }
    guard arePlain else {
      let shown = relative.unicodeScalars.prefix(80).map { $0.value < 0x20 ? "?" : String($0) }.joined()
      throw .invalid(
        "path", "in a share must be made of names that are neither empty nor . nor ..; it is \"\(shown)\".")
    }
    self.init(unchecked: "/\(relative)")
  }

  private init(unchecked text: String) { self.text = text }

  package var description: String { text == "/" ? text : String(text.dropFirst()) }
}
