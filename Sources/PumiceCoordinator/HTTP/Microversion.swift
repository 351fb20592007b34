import PumiceModel

/// A version of an OpenStack API within its major version, such as 3.27.
struct Microversion: Sendable, Hashable, Comparable, CustomStringConvertible {
  let major: Int
  let minor: Int

  init(_ major: Int, _ minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// Reads `3.27`; `nil` for anything else.
  init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let major = Self.number(parts[0]), let minor = Self.number(parts[1]) else { return nil }
    self.init(major, minor)
  }

  private static func number(_ text: some StringProtocol) -> Int? {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      text == "0" || text.utf8.first != UInt8(ascii: "0"), text.utf8.count <= 6
    else { return nil }
    return Int(text)
  }

  var description: String { "\(major).\(minor)" }

  static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }
}

/// One versioned API: what clients call it, and which of its microversions we serve.
struct APIVersions: Sendable {
  /// The service type in `OpenStack-API-Version: volume 3.27`.
  let service: String
  let least: Microversion
  let greatest: Microversion

  /// The names of the service in that header. gophercloud writes the type by which it found the service in the catalog, and Cinder
  /// takes that.
  private var names: Set<String> { service == "volume" ? [service, "volumev3", "block-storage"] : [service] }

  /// What a request asks for; the least version when it doesn't say.
  func requested(_ headers: [String]) throws(APIError) -> Microversion {
    for header in headers {
      for part in header.split(separator: ",") {
        let words = part.split(separator: " ")
        guard words.count == 2 else { throw malformed(String(part)) }
        if names.contains(words[0].lowercased()) { return try served(words[1]) }
      }
    }
    return least
  }

  func served(_ text: some StringProtocol) throws(APIError) -> Microversion {
    if text == "latest" { return greatest }
    guard let version = Microversion(text) else { throw malformed(String(text)) }
    guard version >= least, version <= greatest else {
      throw .notAcceptable(
        "Version \(version) is not supported by the API. Minimum is \(least) and maximum is \(greatest).")
    }
    return version
  }

  private func malformed(_ text: String) -> APIError {
    .invalid(
      "OpenStack-API-Version: '\(text.prefix(40))' is of an invalid format; it must be like '\(service) \(greatest)'.")
  }
}
