/// The secret that callers have to show.
struct BearerToken: Sendable {
  private let bytes: [UInt8]

  init(_ token: String) { bytes = Array(token.utf8) }

  /// Whether an `Authorization` header carries it. Takes as long for a near miss as for any other.
  func isShown(in header: String?) -> Bool {
    let scheme = "bearer "
    guard let header, header.prefix(scheme.count).lowercased() == scheme else { return false }
    let shown = Array(header.utf8.dropFirst(scheme.utf8.count))
    guard !bytes.isEmpty else { return false }
    var difference = shown.count ^ bytes.count
    for (index, byte) in shown.enumerated() { difference |= Int(byte ^ bytes[index % bytes.count]) }
    return difference == 0
  }
}
