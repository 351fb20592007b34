import Foundation
import TestBed

/// Runs bash scripts in a node: one connection each, which brings the script and takes its output, then NUL, the exit status
/// and a line feed.
struct NodeShell: Sendable {
  let node: String
  let address: String
  let network: Network

  func run(_ script: String, within deadline: Duration) async throws -> (status: Int, output: String) {
    let socket = try network.inside { try connection() }
    defer { close(socket) }
    var unsent = Array(script.utf8)[...]
    var isSent = false
    var received: [UInt8] = []
    let clock = ContinuousClock()
    let end = clock.now + deadline
    var pause = Duration.milliseconds(1)
    while clock.now < end {
      if !isSent { isSent = try send(&unsent, to: socket) }
      if isSent {
        let isOpen = try read(from: socket, into: &received)
        if let end = ending(of: received) { return end }
        guard isOpen else { throw TestBedFailure("The connection to \(node) broke while it ran `\(script)`.") }
      }
      try await Task.sleep(for: pause)
      pause = min(pause * 1.2, .milliseconds(20))
    }
    throw TestBedFailure(
      "\(node) did not run `\(script)` within \(deadline). It said: \(String(decoding: received, as: UTF8.self))")
  }

  private func connection() throws -> Int32 {
    let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    guard socket >= 0 else { throw failure("No socket") }
    func endpoint(_ address: String, port: UInt16) -> sockaddr_in {
      var endpoint = sockaddr_in()
      endpoint.sin_family = sa_family_t(AF_INET)
      endpoint.sin_port = port.bigEndian
      inet_pton(AF_INET, address, &endpoint.sin_addr)
      return endpoint
    }
    func call(
      _ function: (Int32, UnsafePointer<sockaddr>?, socklen_t) -> Int32, _ endpoint: sockaddr_in
    ) -> Int32 {
      withUnsafePointer(to: endpoint) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          function(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
    guard call(bind, endpoint(Lab.controlAddress, port: 0)) == 0 else {
      defer { close(socket) }
      throw failure("\(Lab.controlAddress) is no address of the lab's network")
    }
    guard call(connect, endpoint(address, port: 514)) == 0 || errno == EINPROGRESS else {
      defer { close(socket) }
      throw failure("\(node) can't be reached")
    }
    return socket
  }

  /// Whether all is sent now.
  private func send(_ unsent: inout ArraySlice<UInt8>, to socket: Int32) throws -> Bool {
    while !unsent.isEmpty {
      let sent = unsent.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if sent < 0, errno == EAGAIN { return false }
      guard sent >= 0 else { throw failure("\(node) can't be reached") }
      unsent = unsent.dropFirst(sent)
    }
    return shutdown(socket, Int32(SHUT_WR)) == 0
  }

  /// Whether there may be more to come.
  private func read(from socket: Int32, into received: inout [UInt8]) throws -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = Glibc.read(socket, &buffer, buffer.count)
      if count < 0, errno == EAGAIN { return true }
      guard count > 0 else { return false }
      received += buffer[..<count]
    }
  }

  private func ending(of received: [UInt8]) -> (status: Int, output: String)? {
    guard received.last == UInt8(ascii: "\n"), let mark = received.lastIndex(of: 0),
      let status = Int(String(decoding: received[(mark + 1)...].dropLast(), as: UTF8.self))
    else { return nil }
    return (status, String(decoding: received[..<mark], as: UTF8.self))
  }

  private func failure(_ what: String) -> TestBedFailure {
    TestBedFailure("\(what): \(String(cString: strerror(errno)))")
  }
}
