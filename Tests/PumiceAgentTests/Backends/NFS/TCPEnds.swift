@testable import PumiceAgent

/// The ends of TCP connections to and from a port of this machine (proc_net(5)).
struct TCPEnds {
  private let rows: [[Substring]]

  init(port: Int) throws {
    let digits = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    rows = try ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { path in
      // Not by Foundation, which stops at the first part of such a file.
      let rows = try String(contentsOfFile: path).split(separator: "\n").dropFirst().map { $0.split(separator: " ") }
      return rows.filter { $0[1].hasSuffix(suffix) || $0[2].hasSuffix(suffix) }
    }
  }

  var areConnected: Bool { rows.contains { $0[3] == "01" } }

  /// What TCP has taken from one side and not given to the other.
  var bytesUnderWay: Int {
    rows.filter { $0[3] == "01" }.reduce(0) { sum, row in
      sum + row[4].split(separator: ":").reduce(0) { $0 + (Int($1, radix: 16) ?? 0) }
    }
  }
}
