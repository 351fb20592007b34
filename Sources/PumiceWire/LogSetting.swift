public import Logging
public import PumiceModel

/// From which level on an agent logs: `GET` and `PUT /v1/log`.
public struct LogSetting: Sendable, Equatable, Codable {
  public static let agentLogger = "pumice-agent"

  public var level: Logger.Level
  /// The agent's only logger; whoever sets the level need not name it.
  public var logger: String?

  public init(level: Logger.Level, logger: String? = nil) {
    self.level = level
    self.logger = logger
  }
}

/// A node whose agent says what it logs, and can be told while it runs.
public protocol LoggingNodeAPI: NodeAPI {
  func logSetting() async throws(StorageError) -> LogSetting

  /// Holds until the agent is restarted: then it logs as it is configured.
  func setLog(_ setting: LogSetting) async throws(StorageError)
}
