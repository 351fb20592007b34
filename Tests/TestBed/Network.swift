public import Glibc

/// The network in which the parts of a bed reach each other: the machine's own loopback, or that of a lab.
public struct Network: Sendable {
  /// The address at which programs of this machine listen.
  public let address: String
  /// The network namespace as a file; `nil` for this process's own.
  private let namespace: String?

  public static let loopback = Network(address: "127.0.0.1", namespace: nil)

  /// The network namespace of a process, which this machine's programs enter by `entering(_:)`.
  public init(address: String, of process: pid_t) {
    self.init(address: address, namespace: "/proc/\(process)/ns/net")
  }

  private init(address: String, namespace: String?) {
    self.address = address
    self.namespace = namespace
  }

  /// The command that runs the given one in this network. It has the same process id.
  public func entering(_ command: [String]) -> [String] {
    guard let namespace else { return command }
    return ["nsenter", "--net=\(namespace)", "--"] + command
  }

  /// `address:port`, where nobody listens now.
  public func freeAddress() throws -> String { "\(address):\(try inside { try freePort() })" }

  /// Whether something accepts connections there now.
  public func answers(_ address: String) -> Bool {
    (try? inside { TestBed.answers(address) }) ?? false
  }

  /// Does the work with the calling thread in this network. The sockets it makes stay there.
  package func inside<Result>(_ work: () throws -> Result) throws -> Result {
    guard let namespace else { return try work() }
    let home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
    defer { close(home) }
    let away = open(namespace, O_RDONLY | O_CLOEXEC)
    defer { close(away) }
    guard home >= 0, away >= 0, Self.enter(away) == 0 else {
      throw TestBedFailure("\(namespace) can't be entered: \(String(cString: strerror(errno)))")
    }
    // A thread that can't come back would do everything that follows in the wrong place.
    defer { precondition(Self.enter(home) == 0, "setns: \(String(cString: strerror(errno)))") }
    return try work()
  }

  /// setns(2), looked up by name: glibc's sched.h shows it only to those who define _GNU_SOURCE.
  private static func enter(_ namespace: Int32) -> Int32 {
    typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
    guard let symbol = dlsym(nil, "setns") else { return -1 }
    let newNetwork: Int32 = 0x4000_0000
    return unsafeBitCast(symbol, to: SetNamespace.self)(namespace, newNetwork)
  }
}
