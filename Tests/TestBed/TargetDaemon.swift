import Glibc

/// A tgtd of one's own, with its own management socket and portal.
public struct TargetDaemon: Sendable {
  public let daemon: Daemon
  /// The management socket, which ends with the control port.
  public let ipcSocket: String
  /// `host:port`.
  public let portal: String
  public let controlPort = 1
  private let bed: Bed

  public init(in bed: Bed, portal: String? = nil) throws {
    self.bed = bed
    let folder = try bed.folder.folder("tgtd")
    let portal = try portal ?? "127.0.0.1:\(freePort())"
    let socket = "\(folder)/socket"
    let ipcSocket = "\(socket).\(controlPort)"
    self.portal = portal
    self.ipcSocket = ipcSocket
    daemon = Daemon(
      "tgtd", ["tgtd", "-f", "-C", "\(controlPort)", "--iscsi", "portal=\(portal)"],
      environment: ["TGT_IPC_SOCKET": socket], in: bed
    ) { access(ipcSocket, F_OK) == 0 && answers(portal) }
  }

  public func start() async throws {
    unlink(ipcSocket)
    try await daemon.start()
  }

  /// Kills it with signal 9, and with it all targets and sessions.
  public func kill9() async throws {
    try await daemon.kill9()
    unlink(ipcSocket)
  }

  /// Ends it without waiting for its targets: it ignores SIGTERM while it has any.
  public func stop() async throws { try await daemon.stop(grace: .milliseconds(500)) }

  /// Runs tgtadm against it.
  @discardableResult
  public func tgtadm(_ arguments: String...) async throws -> String {
    try await bed.run(
      ["tgtadm", "-C", "\(controlPort)", "--lld", "iscsi"] + arguments,
      environment: ["TGT_IPC_SOCKET": String(ipcSocket.dropLast("\(controlPort)".count + 1))])
  }
}

/// Whether something accepts connections there now.
public func answers(_ address: String) -> Bool {
  let parts = address.split(separator: ":")
  guard parts.count == 2, let port = UInt16(parts[1]) else { return false }
  let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  defer { close(socket) }
  var target = sockaddr_in()
  target.sin_family = sa_family_t(AF_INET)
  target.sin_port = port.bigEndian
  inet_pton(AF_INET, String(parts[0]), &target.sin_addr)
  return withUnsafePointer(to: target) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}
