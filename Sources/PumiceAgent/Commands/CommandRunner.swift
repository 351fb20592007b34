public import PumiceModel
import Subprocess
import Synchronization
public import SystemPackage

/// The one place that starts processes: arguments as an array, `LC_ALL=C`, a deadline and a limit on output.
///
/// Secrets never go into arguments: any user of the machine can read those.
public struct CommandRunner: Sendable {
  /// How a command ended. A non-zero exit is a result; the caller decides what it means.
  public struct Outcome: Sendable, Equatable {
    /// `nil` when a signal ended it.
    public let exitCode: Int32?
    public let standardOutput: String
    public let standardError: String
    public var succeeded: Bool { exitCode == 0 }
  }

  /// How long a command may run before it is killed.
  public let deadline: Duration
  /// Bytes of output after which a command is killed.
  public let outputLimit: Int

  public init(deadline: Duration = .seconds(60), outputLimit: Int = 16 << 20) {
    self.deadline = deadline
    self.outputLimit = outputLimit
  }

  /// Runs a command and waits for its end. When the task is cancelled or the deadline passes, the command and its plain
  /// descendants are killed first. One that hangs in the kernel, on a dead disk, does not die of that: it is left to itself,
  /// and may still do what it was asked to.
  ///
  /// Throws `missingPart` when there is no such command, `timeout` after the deadline, `failed` when it says too much.
  public func run(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:]
  ) async throws(StorageError) -> Outcome {
    let limit = outputLimit
    return try await supervised(executable) {
      let result = try await Subprocess.run(
        Self.executable(executable), arguments: Arguments(arguments), environment: Self.environment(environment),
        platformOptions: Self.ownSession, output: .string(limit: limit), error: .string(limit: limit))
      return Outcome(
        exitCode: Self.exitCode(result.terminationStatus), standardOutput: result.standardOutput,
        standardError: result.standardError)
    }
  }

  /// Starts a daemon in a session of its own, with `/dev/null` as its input and `log` as its output, and leaves it alone:
  /// it outlives this process. That it works is the caller's to see.
  public func startDetached(
    _ executable: String, _ arguments: [String], environment: [String: String] = [:], log: FilePath
  ) async throws(StorageError) {
    let outcome = try await supervised("setsid") {
      let output = try FileDescriptor.open(
        log, .writeOnly, options: [.create, .append], permissions: [.ownerReadWrite, .groupRead])
      return try await output.closeAfter {
        try await Subprocess.run(
          .name("setsid"), arguments: Arguments(["--fork", executable] + arguments),
          environment: Self.environment(environment),
          output: .fileDescriptor(output, closeAfterSpawningProcess: false),
          error: .fileDescriptor(output, closeAfterSpawningProcess: false)
        ).terminationStatus
      }
    }
    guard outcome == .exited(0) else {
      throw StorageError(.failed, "Starting \(executable) in the background failed: setsid ended with \(outcome).")
    }
  }

  /// How long a killed command may take to be gone. On a busy machine that is more than a moment.
  private static let grace = Duration.seconds(10)

  /// Runs `body` until the deadline; whichever ends first wins. When this returns, the other has ended, or hangs.
  private func supervised<Value: Sendable>(
    _ name: String, _ body: @escaping @Sendable () async throws -> Value
  ) async throws(StorageError) -> Value {
    let deadline = deadline
    do {
      try Task.checkCancellation()
      let answer = Answer<Result<Value, any Error>>()
      // No child tasks: they would have to be waited for, for as long as a process hangs in the kernel.
      let work = Task {
        do {
          answer.give(.success(try await body()))
        } catch {
          answer.give(.failure(error))
        }
      }
      let end: @Sendable () async -> Void = {
        work.cancel()
        try? await Task.sleep(for: Self.grace)
        answer.give(nil)
      }
      let isLate = Atomic(false)
      let timer = Task {
        try await Task.sleep(for: deadline)
        isLate.store(true, ordering: .sequentiallyConsistent)
        await end()
      }
      let result = await withTaskCancellationHandler {
        await answer.wait()
      } onCancel: {
        Task { await end() }
      }
      timer.cancel()
      // A cancelled child process does not throw: it looks like one that died of a signal.
      try Task.checkCancellation()
      guard let result, !isLate.load(ordering: .sequentiallyConsistent) else {
        let fate = result == nil ? "it hangs, and can't be killed" : "it was killed"
        throw StorageError(.timeout, "\(name) did not end within \(deadline); \(fate).")
      }
      return try result.get()
    } catch let error as SubprocessError where error.code == .executableNotFound {
      throw StorageError(.missingPart, "The command \(name) is not installed, or not in PATH.", cause: error)
    } catch {
      throw StorageError.wrap(error, "Running \(name)")
    }
  }

  private static func executable(_ name: String) -> Executable {
    name.contains("/") ? .path(FilePath(name)) : .name(name)
  }

  private static func environment(_ additions: [String: String]) -> Environment {
    var updates: [Environment.Key: String?] = ["LC_ALL": "C"]
    for (key, value) in additions {
      if let key = Environment.Key(rawValue: key) { updates[key] = value }
    }
    return .inherit.updating(updates)
  }

  private static var ownSession: PlatformOptions {
    var options = PlatformOptions()
    options.createSession = true
    options.teardownSequence = [
      .send(signal: .kill, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(10))
    ]
    return options
  }

  private static func exitCode(_ status: TerminationStatus) -> Int32? {
    switch status {
    case .exited(let code): code
    case .signaled: nil
    }
  }
}

extension FileDescriptor {
  /// Closes the descriptor when `body` has ended, however it ends.
  fileprivate func closeAfter<Value>(_ body: () async throws -> Value) async throws -> Value {
    defer { try? close() }
    return try await body()
  }
}
