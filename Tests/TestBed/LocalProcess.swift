import Foundation
public import Glibc
import Synchronization

/// A process that was started here, in a session of its own, with its output in a file. Ended by its id.
public final class LocalProcess: Sendable {
  public let name: String
  public let id: pid_t
  /// Where its output goes; `nil` when it shares our standard error.
  public let log: String?
  private let ending = Mutex<Int32?>(nil)

  /// Starts a program found on the path. Its output is added to `log`; it inherits nothing but the environment, and
  /// `input`, if any, as its standard input.
  public init(_ command: [String], environment: [String: String] = [:], input: Int32? = nil, log: String?) throws {
    name = (command[0] as NSString).lastPathComponent
    self.log = log
    id = try Self.spawn(command, environment: environment, input: input, log: log)
  }

  /// Whether it has not ended yet.
  public var isRunning: Bool { exitStatus == nil }

  /// The exit status, or 128 and the number of the signal that ended it; `nil` while it runs.
  public var exitStatus: Int32? {
    ending.withLock { ending in
      if ending == nil {
        var status: Int32 = 0
        if waitpid(id, &status, WNOHANG) == id {
          ending = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        }
      }
      return ending
    }
  }

  public func signal(_ signal: Int32) {
    if isRunning { _ = kill(id, signal) }
  }

  /// Waits for its end and returns the exit status.
  @discardableResult
  public func wait(within deadline: Duration) async throws -> Int32 {
    try await eventually("\(name) (\(id)) ends; its log says: \(logTail)", within: deadline, every: .milliseconds(5)) {
      exitStatus
    }
  }

  /// Ends it: by SIGTERM and, when it is still there after `grace`, by SIGKILL.
  public func end(grace: Duration = .seconds(5)) async throws {
    signal(SIGTERM)
    do { try await wait(within: grace) } catch {
      signal(SIGKILL)
      try await wait(within: .seconds(10))
    }
  }

  /// The last lines of its output.
  public var logTail: String { log.map { Self.tail(of: $0) } ?? "" }

  package static func tail(of path: String, lines: Int = 25) -> String {
    let text = (try? Data(contentsOf: URL(fileURLWithPath: path))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    return text.split(separator: "\n").suffix(lines).joined(separator: "\n")
  }

  private static func spawn(
    _ command: [String], environment: [String: String], input: Int32?, log: String?
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    if let log {
      posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      posix_spawn_file_actions_adddup2(&actions, 1, 2)
    } else {
      posix_spawn_file_actions_adddup2(&actions, 2, 1)
    }
    // Not every library opens with O_CLOEXEC. Closing what is closed already does no harm here.
    for descriptor in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap({ Int32($0) })
    where descriptor > 2 {
      posix_spawn_file_actions_addclose(&actions, descriptor)
    }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var all = sigset_t()
    sigfillset(&all)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    // POSIX_SPAWN_SETSID, which glibc's spawn.h shows only to those who define _GNU_SOURCE.
    let newSession: Int16 = 0x80
    posix_spawnattr_setflags(
      &attributes, newSession | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))

    let variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var values: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0)=\($1)") } + [nil]
    defer { for text in arguments + values { free(text) } }
    var id: pid_t = 0
    let code = posix_spawnp(&id, command[0], &actions, &attributes, &arguments, &values)
    guard code == 0 else {
      throw TestBedFailure("\(command[0]) can't be started: \(String(cString: strerror(code)))")
    }
    return id
  }
}
