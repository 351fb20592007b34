public import Logging
import Synchronization

/// What the whole process logs from on. It can be changed while it runs, and is the configured one again after a restart.
public final class LogLevel: Sendable {
  private let level: Mutex<Logger.Level>

  public init(_ level: Logger.Level) { self.level = Mutex(level) }

  public var value: Logger.Level { level.withLock { $0 } }

  public func set(_ value: Logger.Level) { level.withLock { $0 = value } }
}

/// Logs what another handler would, from the level on that the process has now: the override that `LogHandler` allows for.
public struct LeveledLogHandler: LogHandler {
  private var handler: any LogHandler
  private let level: LogLevel
  /// From which level on this one logger is worth listening to.
  private var ownLevel = Logger.Level.trace

  public init(_ handler: any LogHandler, from level: LogLevel) {
    self.handler = handler
    self.level = level
  }

  /// Setting it makes one logger quieter than the process, and never louder.
  public var logLevel: Logger.Level {
    get { max(level.value, ownLevel) }
    set { ownLevel = newValue }
  }

  public var metadata: Logger.Metadata {
    get { handler.metadata }
    set { handler.metadata = newValue }
  }

  public var metadataProvider: Logger.MetadataProvider? {
    get { handler.metadataProvider }
    set { handler.metadataProvider = newValue }
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { handler[metadataKey: key] }
    set { handler[metadataKey: key] = newValue }
  }

  public func log(event: LogEvent) { handler.log(event: event) }
}
