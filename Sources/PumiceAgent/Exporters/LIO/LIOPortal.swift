import Glibc

/// Where a target is reached, written as LIO names it: `10.0.0.7:3260`, `[fe80::1]:3260`.
struct LIOPortal: Equatable, Sendable {
  let name: String
  /// Whether it stands for every address of the machine, so that it is none that an initiator could be told.
  let isEverywhere: Bool

  /// Reads `host:port`; `nil` unless the host is an address. LIO asks no name service.
  init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
      return nil
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
      let scope = host.firstIndex(of: "%") ?? host.endIndex
      guard let address = Self.canonical(String(host[..<scope]), AF_INET6) else { return nil }
      name = "[\(address)\(host[scope...])]:\(port)"
      isEverywhere = address == "::"
    } else {
      guard let address = Self.canonical(String(host), AF_INET) else { return nil }
      name = "\(address):\(port)"
      isEverywhere = address == "0.0.0.0"
    }
  }

  /// See inet_pton(3): one address, one spelling, so that a portal is found again under its name.
  private static func canonical(_ host: String, _ family: Int32) -> String? {
    var address = in6_addr()
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_pton(family, host, &address) == 1,
      inet_ntop(family, &address, &text, socklen_t(text.count)) != nil
    else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
