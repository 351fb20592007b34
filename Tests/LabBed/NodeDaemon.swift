import TestBed

/// A long-running program in a node. It dies with the node and is not started with it.
public struct NodeDaemon: Sendable {
  public let name: String
  public let node: LabNode
  private let command: [String]
  private let isReady: @Sendable () async throws -> Bool

  /// - Parameter isReady: Asked after each start until it says yes.
  public init(
    _ name: String, _ command: [String], on node: LabNode, isReady: @escaping @Sendable () async throws -> Bool
  ) {
    self.name = name
    self.node = node
    self.command = command
    self.isReady = isReady
  }

  /// Its output, from all of its lives, in the bed's folder.
  public var log: String { node.bed.folder.file("\(node.name)-\(name).log") }
  public var logTail: String { LocalProcess.tail(of: log) }
  private var identity: String { "/run/\(name).pid" }

  public var isRunning: Bool {
    get async throws { try await node.answer(to: "kill -0 $(cat \(identity))").status == 0 }
  }

  /// Starts it and returns when it answers. Does nothing when it runs.
  public func start(within deadline: Duration = .seconds(30)) async throws {
    if try await isRunning { return }
    let words = command.map { "'\($0.replacing("'", with: #"'\''"#))'" }.joined(separator: " ")
    try await node.run("setsid \(words) </dev/null >>'\(log)' 2>&1 & echo $! >\(identity)")
    do {
      try await eventually("\(name) answers", within: deadline, every: .milliseconds(50)) {
        guard try await isReady() else {
          guard try await isRunning else { throw TestBedFailure("\(name) has ended.") }
          return false
        }
        return true
      }
    } catch {
      throw TestBedFailure("\(error)\n\(name)'s log on \(node.name):\n\(logTail)")
    }
  }

  /// `kill -9`. Returns when it is gone.
  public func kill9() async throws { try await end(signal: "KILL") }

  /// Ends it by SIGTERM. Returns when it is gone.
  public func stop() async throws { try await end(signal: "TERM") }

  private func end(signal: String) async throws {
    try await node.run(
      """
      id=$(cat \(identity)) && kill -\(signal) $id || exit 0
      for _ in $(seq 200); do kill -0 $id || exit 0; sleep 0.1; done 2>/dev/null
      echo '\(name) does not end.'; exit 1
      """)
  }
}
