import Glibc
public import Logging
public import PumiceModel
public import ServiceLifecycle
import SystemPackage

/// Keeps a tgtd running: adopts the one that answers, starts one where none does, and says when another one has come.
///
/// tgtd is started in a session of its own and outlives this process, since guests have sessions with it.
public struct TGTDaemon: Service {
  public struct Launch: Sendable {
    /// `tgtd`, or its path.
    public var executable: String
    /// Where it shall listen, as `host:port`.
    public var portals: [String]
    /// Where its output goes.
    public var log: String

    public init(executable: String = "tgtd", portals: [String], log: String) {
      self.executable = executable
      self.portals = portals
      self.log = log
    }
  }

  private let client: TGTClient
  private let launch: Launch?
  private let interval: Duration
  private let commands: CommandRunner
  private let logger: Logger
  private let whenFresh: @Sendable () async -> Void

  /// - Parameters:
  ///   - socketPath: The management socket; it ends with the control port, as in `/var/run/tgtd/socket.0`.
  ///   - launch: How to start it; `nil` leaves that to others.
  ///   - interval: How often to look.
  ///   - whenFresh: Called in turn for each tgtd that is seen for the first time: it may know no export yet.
  public init(
    socketPath: String, launch: Launch?, interval: Duration = .milliseconds(500),
    commands: CommandRunner = CommandRunner(),
    logger: Logger, whenFresh: @escaping @Sendable () async -> Void
  ) {
    client = TGTClient(socketPath: socketPath)
    self.launch = launch
    self.interval = interval
    self.commands = commands
    self.logger = logger
    self.whenFresh = whenFresh
  }

  /// Whether a tgtd answers now.
  public var isAlive: Bool {
    get async { await incarnation() != nil }
  }

  /// Runs until cancelled or told to shut down. Leaves tgtd as it is.
  public func run() async throws {
    await cancelWhenGracefulShutdown {
      var seen: TGTClient.Incarnation?
      var failures = 0
      while !Task.isCancelled {
        if let present = await incarnation() {
          failures = 0
          if present != seen {
            logger.notice("tgtd found", metadata: ["process.id": "\(present.processID)"])
            seen = present
            await whenFresh()
          }
        } else if launch != nil {
          do throws(StorageError) {
            try await start()
          } catch {
            failures += 1
            logger.error("tgtd not started", metadata: ["error": "\(error)", "attempt": "\(failures)"])
          }
        }
        try? await Task.sleep(for: interval * min(20, 1 + failures))
      }
    }
  }

  /// Starts tgtd if nobody answers, and returns when it does. Throws `missingPart` when it is not installed, `unavailable`
  /// when it does not come up; its log says more.
  public func start() async throws(StorageError) {
    guard await incarnation() == nil, let launch else { return }
    guard let dot = client.socketPath.lastIndex(of: "."), let port = UInt16(client.socketPath[dot...].dropFirst())
    else {
      throw .invalid("socket", "of tgtd must end with a dot and the control port; it is \(client.socketPath).")
    }
    // In the foreground, since its own way into the background leaves it a writable standard input: for an instant of
    // each re-open, a thread of tgtd may write there and call it done.
    let portals = launch.portals.flatMap { ["--iscsi", "portal=\($0)"] }
    try await requireInstalled(launch.executable)
    try await makeSocketFolder()
    try await commands.startDetached(
      launch.executable, ["-f", "-C", "\(port)"] + portals,
      environment: ["TGT_IPC_SOCKET": String(client.socketPath[..<dot])], log: FilePath(launch.log))
    for _ in 0..<100 {
      if await incarnation() != nil { return }
      do { try await Task.sleep(for: .milliseconds(50)) } catch { break }
    }
    throw StorageError(
      .unavailable, "tgtd was started but does not answer on \(client.socketPath); see \(launch.log).")
  }

  /// tgtd makes its usual folder only when it is not told where its socket shall be, and /run is empty after a boot.
  private func makeSocketFolder() async throws(StorageError) {
    let folder = FilePath(client.socketPath).removingLastComponent().string
    try await BlockingCalls.run { () throws(StorageError) in
      guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
        throw StorageError(
          .failed, "Making the folder \(folder) for tgtd's socket failed: \(String(cString: strerror(errno)))")
      }
    }
  }

  /// The command that puts it into the background would not say that it is missing.
  private func requireInstalled(_ executable: String) async throws(StorageError) {
    _ = try await commands.run(executable, ["--version"])
  }

  private func incarnation() async -> TGTClient.Incarnation? {
    let client = client
    return try? await BlockingCalls.run { () throws(StorageError) in client.incarnation() }
  }
}
