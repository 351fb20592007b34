public import Glibc

/// A long-running part of a bed that can be killed and started again at any time.
public actor Daemon {
  public nonisolated let name: String
  private let bed: Bed
  private let command: [String]
  private let environment: [String: String]
  private let isReady: @Sendable () async throws -> Bool
  private var process: LocalProcess?

  /// - Parameter isReady: Asked after each start until it says yes.
  public init(
    _ name: String, _ command: [String], environment: [String: String] = [:], in bed: Bed,
    isReady: @escaping @Sendable () async throws -> Bool
  ) {
    self.name = name
    self.bed = bed
    self.command = command
    self.environment = environment
    self.isReady = isReady
  }

  public var processID: pid_t? { process.flatMap { $0.isRunning ? $0.id : nil } }
  public var isRunning: Bool { process?.isRunning ?? false }
  public nonisolated var log: String { bed.folder.file("\(name).log") }
  public nonisolated var logTail: String { LocalProcess.tail(of: log) }

  /// Starts it and returns when it answers. Does nothing when it runs.
  public func start(within deadline: Duration = .seconds(30)) async throws {
    if isRunning { return }
    let process = try bed.start(command, name: name, environment: environment)
    self.process = process
    do {
      try await eventually("\(name) answers", within: deadline) {
        guard process.isRunning else { return true }
        return try await isReady()
      }
    } catch {
      throw TestBedFailure("\(error)\n\(name)'s log:\n\(logTail)")
    }
    guard process.isRunning else {
      throw TestBedFailure("\(name) ended with status \(process.exitStatus ?? -1). Its log:\n\(logTail)")
    }
  }

  /// `kill -9`. Returns when it is gone.
  ///
  /// - Parameter child: What to kill instead of a process that ends with this child of its.
  public func kill9(_ child: pid_t? = nil) async throws {
    guard let process else { return }
    if let child { kill(child, SIGKILL) } else { process.signal(SIGKILL) }
    try await process.wait(within: .seconds(20))
  }

  /// Kills it with signal 9 and starts it again.
  public func crash() async throws {
    try await kill9()
    try await start()
  }

  /// Ends it kindly, or by force when it takes longer than `grace`.
  public func stop(grace: Duration = .seconds(10)) async throws {
    try await process?.end(grace: grace)
  }

  /// Ends it with SIGTERM only, and returns its exit status.
  @discardableResult
  public func terminate(within deadline: Duration = .seconds(20)) async throws -> Int32 {
    guard let process else { return 0 }
    process.signal(SIGTERM)
    return try await process.wait(within: deadline)
  }
}
