/// The secret that callers have to show.
public struct BearerToken: Sendable {
  private let bytes: [UInt8]

  public init(_ token: String) { bytes = Array(token.utf8) }

  /// Whether an `Authorization` header carries it (RFC 6750). Takes as long for a near miss as for any other.
  public func isShown(in header: String?) -> Bool {
    let scheme = "bearer "
    guard let header, header.prefix(scheme.count).lowercased() == scheme else { return false }
    return isEqual(to: header.dropFirst(scheme.count))
  }

  /// Compares in a time that depends only on the lengths. An empty token is equal to nothing.
  public func isEqual(to shown: some StringProtocol) -> Bool {
    guard !bytes.isEmpty else { return false }
    let shown = Array(shown.utf8)
    var difference = shown.count ^ bytes.count
    for (index, byte) in shown.enumerated() { difference |= Int(byte ^ bytes[index % bytes.count]) }
    return difference == 0
  }
}
