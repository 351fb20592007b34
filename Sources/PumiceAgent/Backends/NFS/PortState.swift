import Glibc
import PumiceModel

/// What becomes of a connection to a TCP port, from here.
enum PortState: Sendable {
  case open
  /// The machine says that nobody listens, or somebody on the way says that it can't be reached.
  case closed
  case silent

  /// Tries each address of a host for some seconds.
  static func of(_ port: UInt16, on host: String) async -> PortState {
    let attempt = "Connecting to port \(port) of \(host)"
    let state = try? await BlockingCalls.run(within: .seconds(10), attempt) { () throws(StorageError) in
      var state = PortState.silent
      for address in try serverAddresses(host).prefix(3) {
        state = connect(to: address, port)
        if state == .open { break }
      }
      return state
    }
    return state ?? .silent
  }

  private static func connect(to address: String, _ port: UInt16) -> PortState {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    defer { if let list { freeaddrinfo(list) } }
    guard getaddrinfo(address, "\(port)", &hints, &list) == 0, let target = list?.pointee else { return .silent }
    let type = target.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = socket(target.ai_family, type, 0)
    guard descriptor >= 0 else { return .silent }
    defer { close(descriptor) }
    if Glibc.connect(descriptor, target.ai_addr, target.ai_addrlen) == 0 { return .open }
    guard errno == EINPROGRESS else { return .closed }
    var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard poll(&wait, 1, 3000) == 1 else { return .silent }
    var (error, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 else { return .silent }
    return switch error {
    case 0: .open
    case ETIMEDOUT: .silent
    default: .closed
    }
  }
}
