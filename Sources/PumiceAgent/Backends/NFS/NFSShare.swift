import Crypto
import Glibc
package import PumiceModel

/// A share of an NFS server, as mount.nfs(8) and Cinder write it: `host:/path`, or `[address]:/path` for IPv6.
///
/// Whatever passes the checks can be an argument of a command, a line of a configuration file, a pool's name and a part of
/// a path without being quoted.
package struct NFSShare: Hashable, Sendable, CustomStringConvertible {
  /// A name or an address, without brackets.
  package let host: String
  /// Absolute, without a slash at its end.
  package let path: String
  /// As the operator wrote it. Everybody's mount points hang on these very bytes.
  package let description: String

  /// Throws `invalid`, with the field `share`, for what no server could be asked for, or what would mean something else to a
  /// shell, mount(8), /proc or libvirt.
  package init(_ text: String) throws(StorageError) {
    // A pool's name has no more.
    guard text.utf8.count <= 255 else { throw Self.error(text, "is longer than 255 bytes") }
    if let scalar = text.unicodeScalars.first(where: Self.isForbidden) {
      let code = String(scalar.value, radix: 16, uppercase: true)
      throw Self.error(
        text, "must have no spaces, commas, backslashes, quotes, # or control characters; it has U+\(code)")
    }
    guard let colon = Self.endOfHost(text) else { throw Self.error(text, "must be host:/path, or [address]:/path") }
    let written = text[..<colon]
    let isBracketed = written.hasPrefix("[")
    let host = isBracketed ? String(written.dropFirst().dropLast()) : String(written)
    guard isBracketed ? Self.isIPv6Address(host) : Self.isHostName(host) else {
      throw Self.error(text, "must begin with a host's name, an IPv4 address, or an IPv6 address in brackets")
    }
    let path = text[text.index(after: colon)...]
    let components = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    let isEndedBySlash = components.last?.isEmpty ?? true
    let names = isEndedBySlash ? components.dropLast() : components[...]
    guard names.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
      throw Self.error(text, "must have a path without empty components, . and ..")
    }
    self.host = host
    self.path = "/" + names.joined(separator: "/")
    description = text
  }

  /// Where this share is mounted below `base`: by the same rule as in Cinder, os-brick and Nova (`get_hash_str`), so that a
  /// fleet can move from one to the other with its instances running.
  package func mountPoint(in base: String) -> String { "\(base)/\(hash)" }

  /// A file in its root, as a path of the server's.
  func path(of name: String) -> String { path == "/" ? "/\(name)" : "\(path)/\(name)" }

  /// The pool that this share is.
  package var poolName: String { description }

  private var hash: String {
    let digits = Array("0123456789abcdef")
    return String(
      Insecure.MD5.hash(data: Array(description.utf8)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  private static func endOfHost(_ text: String) -> String.Index? {
    let colon: String.Index?
    if text.hasPrefix("[") {
      colon = text.firstIndex(of: "]").map { text.index(after: $0) }
    } else {
      colon = text.firstIndex(of: ":")
    }
    guard let colon, text[colon...].hasPrefix(":/") else { return nil }
    return colon
  }

  private static func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator, .lineSeparator, .paragraphSeparator:
      true
    default: ",\\\"'`$#<>|&;*?!(){}\u{FFFD}".unicodeScalars.contains(scalar)
    }
  }

  /// Labels of letters, digits, hyphens and underscores; never something that a command takes for an option.
  private static func isHostName(_ name: String) -> Bool {
    name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      1...63 ~= label.utf8.count && label.first != "-"
        && label.utf8.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
          case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
          default: false
          }
        }
    }
  }

  /// Without a zone, which libnfs would drop.
  private static func isIPv6Address(_ text: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET6, text, &address) == 1
  }

  private static func error(_ text: String, _ problem: String) -> StorageError {
    let shown = text.unicodeScalars.prefix(80).map { isForbidden($0) && $0 != " " ? "?" : String($0) }.joined()
    return .invalid("share", "\"\(shown)\" \(problem).")
  }
}
