import Foundation

/// A network of one's own, of nothing but a loopback interface, with a firewall (network_namespaces(7)). Takes root, and
/// Debian's packages `iproute2`, `iptables` and `socat`.
public struct NetworkNamespace: Sendable {
  public let network: Network
  private let bed: Bed

  /// Makes one that goes with the bed.
  public static func open(in bed: Bed) async throws -> NetworkNamespace {
    let holder = try bed.start(["unshare", "--net", "sleep", "infinity"], name: "network")
    let (own, new) = ("/proc/self/ns/net", "/proc/\(holder.id)/ns/net")
    // Until then it is in ours, where nobody wants our rules.
    try await eventually("there is another network") {
      let files = FileManager.default
      return try files.destinationOfSymbolicLink(atPath: new) != files.destinationOfSymbolicLink(atPath: own)
    }
    let namespace = NetworkNamespace(network: Network(address: "127.0.0.1", of: holder.id), bed: bed)
    try await namespace.run(["ip", "link", "set", "lo", "up"])
    // With loopback addresses alone, getaddrinfo(3) takes a machine for one without IPv4 (AI_ADDRCONFIG), and finds nothing.
    try await namespace.run(["ip", "address", "add", "192.0.2.1/32", "dev", "lo"])
    return namespace
  }

  /// Drops every packet from and to an address. Nobody is told, and connections stand as they are.
  public func cutOff(_ address: String) async throws {
    for way in ["--source", "--destination"] {
      try await run(["iptables", "--wait", "--append", "OUTPUT", way, address, "--jump", "DROP"])
    }
  }

  /// Takes back all that has been cut off.
  public func reconnect() async throws { try await run(["iptables", "--wait", "--flush", "OUTPUT"]) }

  /// Opens a way to a TCP address in there. Returns the address at which it begins out here.
  public func door(to address: String) async throws -> String {
    let port = try freePort()
    let socket = bed.folder.file("door-\(port)")
    let inner = try bed.start(
      network.entering(["socat", "UNIX-LISTEN:\(socket),fork", "TCP:\(address)"]), name: "door-in-\(port)")
    let outer = try bed.start(
      ["socat", "TCP-LISTEN:\(port),bind=127.0.0.1,reuseaddr,fork", "UNIX-CONNECT:\(socket)"], name: "door-out-\(port)")
    try await eventually("the door is open") {
      guard inner.isRunning, outer.isRunning else {
        throw TestBedFailure("socat ended: \(inner.logTail)\(outer.logTail)")
      }
      return FileManager.default.fileExists(atPath: socket) && answers("127.0.0.1:\(port)")
    }
    return "127.0.0.1:\(port)"
  }

  private func run(_ command: [String]) async throws { try await bed.run(network.entering(command)) }
}
