import Foundation

/// What RPC servers and their clients find in place of rpcbind(8).
///
/// A server that registers its programs does so over a Unix socket, where each call is answered with "true". Clients ask for
/// ports on TCP port 111 of a loopback address that nobody else has, so that many can run beside each other.
final class Portmapper: Sendable {
  /// Where clients ask: 127.a.b.c.
  let address: String
  /// Its end ends the thread.
  private let leash: Int32

  /// - Parameters:
  ///   - ports: The TCP port of each RPC program. Others have none.
  ///   - isForClients: Whether clients find it.
  init(at path: String, ports: [UInt32: Int], isForClients: Bool = true) throws {
    let local = try Self.listen(at: path)
    let (clients, address) = try Self.listenForClients()
    if !isForClients { close(clients) }
    var leash: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &leash) == 0 else {
      throw TestBedFailure("No pair of sockets: \(String(cString: strerror(errno)))")
    }
    self.address = address
    self.leash = leash[0]
    let end = leash[1]
    Thread { Self.serve(isForClients ? [local, clients] : [local], ports, until: end) }.start()
  }

  deinit { close(leash) }

  private static func listen(at path: String) throws -> Int32 {
    unlink(path)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw TestBedFailure("\(path) is too long for a socket.")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    guard let listener = listen(at: address, AF_UNIX) else {
      throw TestBedFailure("\(path) can't be listened on: \(String(cString: strerror(errno)))")
    }
    return listener
  }

  private static func listenForClients() throws -> (Int32, address: String) {
    for _ in 0..<100 {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = UInt16(111).bigEndian
      let numbers = [127, UInt32.random(in: 1...254), .random(in: 0...255), .random(in: 1...254)]
      address.sin_addr.s_addr = numbers.reduce(0) { $0 << 8 | $1 }.bigEndian
      if let listener = listen(at: address, AF_INET) {
        return (listener, numbers.map(String.init).joined(separator: "."))
      }
      guard errno == EADDRINUSE else { break }
    }
    throw TestBedFailure("No port 111 on loopback: \(String(cString: strerror(errno)))")
  }

  private static func listen<Address>(at address: Address, _ family: Int32) -> Int32? {
    let listener = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let isListening = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<Address>.size)) == 0 && Glibc.listen(listener, 16) == 0
      }
    }
    guard isListening else {
      let problem = errno
      close(listener)
      errno = problem
      return nil
    }
    return listener
  }

  private static func serve(_ listeners: [Int32], _ ports: [UInt32: Int], until end: Int32) {
    var received: [Int32: [UInt8]] = [:]
    while true {
      let descriptors = [end] + listeners + received.keys
      var waits = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      _ = poll(&waits, nfds_t(waits.count), -1)
      if waits[0].revents != 0 { break }
      for wait in waits.dropFirst() where wait.revents != 0 {
        guard received[wait.fd] != nil else {
          let connection = accept(wait.fd, nil, nil)
          if connection >= 0 { received[connection] = [] }
          continue
        }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(wait.fd, &buffer, buffer.count, 0)
        received[wait.fd]? += buffer.prefix(max(count, 0))
        let replies = answer(received[wait.fd] ?? [], ports)
        received[wait.fd] = replies.rest
        let sent = send(wait.fd, replies.bytes, replies.bytes.count, Int32(MSG_NOSIGNAL))
        if count <= 0 || sent < 0 {
          close(wait.fd)
          received[wait.fd] = nil
        }
      }
    }
    for descriptor in [end] + listeners + received.keys { close(descriptor) }
  }

  /// Replies with one word to each whole record (RFC 5531, 9 and 11).
  private static func answer(_ bytes: [UInt8], _ ports: [UInt32: Int]) -> (bytes: [UInt8], rest: [UInt8]) {
    var (replies, rest): ([UInt8], ArraySlice<UInt8>) = ([], bytes[...])
    while rest.count >= 8 {
      let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) } & 0x7fff_ffff
      guard rest.count >= 4 + length else { break }
      let transaction = rest.dropFirst(4).prefix(4)
      let words = [1, 0, 0, 0, 0, result(of: Array(rest.dropFirst(4).prefix(length)), ports)]
      replies +=
        [0x80, 0, 0, 28] + transaction + words.flatMap { word in withUnsafeBytes(of: word.bigEndian, Array.init) }
      rest = rest.dropFirst(4 + length)
    }
    return (replies, Array(rest))
  }

  /// The port, or 0, where one is asked for (PMAPPROC_GETPORT; RFC 1833, 3); 1 for everything else.
  private static func result(of call: [UInt8], _ ports: [UInt32: Int]) -> UInt32 {
    func word(_ index: Int) -> UInt32 { call.dropFirst(4 * index).prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
    guard word(4) == 2, word(5) == 3 else { return 1 }
    // Credential and verifier, each with its length, stand before the arguments: program, version, protocol, port.
    let verifier = 8 + (Int(word(7)) + 3) / 4
    let arguments = verifier + 2 + (Int(word(verifier + 1)) + 3) / 4
    let isAskedOverTCP = word(arguments + 1) == 3 && word(arguments + 2) == UInt32(IPPROTO_TCP)
    return isAskedOverTCP ? UInt32(ports[word(arguments)] ?? 0) : 0
  }
}
