import Foundation
import Glibc
import TestBed

/// Lends a port of the server's address in front of an RPC server's, which never passes on replies that are larger than `limit`.
func withLossyRelay(to server: Int, at address: String, limit: Int, _ body: (Int) async throws -> Void) async throws {
  let (listener, port) = try listen(at: address)
  var leash: [Int32] = [-1, -1]
  guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &leash) == 0 else {
    throw TestBedFailure("No pair of sockets: \(String(cString: strerror(errno)))")
  }
  let (ours, end) = (leash[0], leash[1])
  defer { close(ours) }
  Thread { LossyRelay(server: server, address: address, limit: limit).run(listener, until: end) }.start()
  try await body(port)
}

private struct LossyRelay {
  let server: Int
  let address: String
  let limit: Int
  /// Each end of each connection, and the one to which its bytes go.
  var peers: [Int32: Int32] = [:]
  /// What servers have sent so far of records that are not whole.
  var replies: [Int32: [UInt8]] = [:]

  init(server: Int, address: String, limit: Int) {
    self.server = server
    self.address = address
    self.limit = limit
  }

  consuming func run(_ listener: Int32, until end: Int32) {
    while true {
      var waits = ([end, listener] + peers.keys).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      _ = poll(&waits, nfds_t(waits.count), -1)
      if waits[0].revents != 0 { break }
      if waits[1].revents != 0 { admit(accept(listener, nil, nil)) }
      for wait in waits.dropFirst(2) where wait.revents != 0 { pass(from: wait.fd) }
    }
    for descriptor in [end, listener] + peers.keys { close(descriptor) }
  }

  private mutating func admit(_ client: Int32) {
    let upstream = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let isConnected = withAddress(address, port: server) { connect(upstream, $0, $1) == 0 }
    guard client >= 0, isConnected else {
      close(client)
      close(upstream)
      return
    }
    (peers[client], peers[upstream], replies[upstream]) = (upstream, client, [])
  }

  private mutating func pass(from source: Int32) {
    guard let target = peers[source] else { return }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(source, &buffer, buffer.count, 0)
    guard count > 0 else {
      for descriptor in [source, target] {
        close(descriptor)
        (peers[descriptor], replies[descriptor]) = (nil, nil)
      }
      return
    }
    guard replies[source] != nil else { return Self.send(buffer.prefix(count), to: target) }
    replies[source]? += buffer.prefix(count)
    while let held = replies[source], held.count >= 4 {
      let length = 4 + held.prefix(4).reduce(0) { $0 << 8 | Int($1) } & 0x7fff_ffff
      guard held.count >= length else { break }
      if length <= limit { Self.send(held.prefix(length), to: target) }
      replies[source]?.removeFirst(length)
    }
  }

  private static func send(_ bytes: ArraySlice<UInt8>, to target: Int32) {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}

private func listen(at address: String) throws -> (listener: Int32, port: Int) {
  let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  let port = try freePort()
  guard withAddress(address, port: port, { bind(listener, $0, $1) == 0 }), Glibc.listen(listener, 8) == 0 else {
    close(listener)
    throw TestBedFailure("Port \(port) can't be listened on: \(String(cString: strerror(errno)))")
  }
  return (listener, port)
}

private func withAddress<Result>(
  _ text: String, port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = UInt16(port).bigEndian
  inet_pton(AF_INET, text, &address.sin_addr)
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  }
}
