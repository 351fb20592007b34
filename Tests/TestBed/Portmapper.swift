import Foundation

/// What a server that registers its RPC programs finds in place of rpcbind(8): a socket where each call is answered with "true".
///
/// It listens on a Unix socket alone, so that many can run beside each other. Nobody can ask it for a port.
final class Portmapper: Sendable {
  /// Its end ends the thread.
  private let leash: Int32

  init(at path: String) throws {
    unlink(path)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw TestBedFailure("\(path) is too long for a socket.")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let isListening = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 16) == 0
      }
    }
    var leash: [Int32] = [-1, -1]
    guard isListening, socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &leash) == 0
    else {
      close(listener)
      throw TestBedFailure("\(path) can't be listened on: \(String(cString: strerror(errno)))")
    }
    self.leash = leash[0]
    let end = leash[1]
    Thread { Self.serve(listener, until: end) }.start()
  }

  deinit { close(leash) }

  private static func serve(_ listener: Int32, until end: Int32) {
    var received: [Int32: [UInt8]] = [:]
    while true {
      var descriptors = [end, listener] + received.keys
      var waits = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      _ = poll(&waits, nfds_t(waits.count), -1)
      if waits[0].revents != 0 { break }
      if waits[1].revents != 0 {
        let connection = accept(listener, nil, nil)
        if connection >= 0 { received[connection] = [] }
      }
      descriptors = waits.dropFirst(2).filter { $0.revents != 0 }.map(\.fd)
      for connection in descriptors {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(connection, &buffer, buffer.count, 0)
        received[connection]? += buffer.prefix(max(count, 0))
        let replies = answer(received[connection] ?? [])
        received[connection] = replies.rest
        let sent = send(connection, replies.bytes, replies.bytes.count, Int32(MSG_NOSIGNAL))
        if count <= 0 || sent < 0 {
          close(connection)
          received[connection] = nil
        }
      }
    }
    for descriptor in [end, listener] + received.keys { close(descriptor) }
  }

  /// Replies with one word, 1, to whatever is asked in whole records (RFC 5531, 9 and 11).
  private static func answer(_ bytes: [UInt8]) -> (bytes: [UInt8], rest: [UInt8]) {
    var (replies, rest): ([UInt8], ArraySlice<UInt8>) = ([], bytes[...])
    while rest.count >= 8 {
      let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) } & 0x7fff_ffff
      guard rest.count >= 4 + length else { break }
      let transaction = rest.dropFirst(4).prefix(4)
      let words: [UInt32] = [1, 0, 0, 0, 0, 1]
      replies += [0x80, 0, 0, 28] + transaction + words.flatMap { word in [0, 0, 0, UInt8(word)] }
      rest = rest.dropFirst(4 + length)
    }
    return (replies, Array(rest))
  }
}
