import ArgumentParser
import Foundation
import Logging
import PumiceCoordinator
import PumiceModel
import PumiceWire

@main
struct PumiceCoordinatorCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pumice-coordinator",
    abstract: "Hold the truth about a fleet's volumes, and speak the Block Storage API v3.",
    discussion: """
      Every setting can be given in the configuration file, as an environment variable (PUMICE_COORDINATOR_ and the key \
      in capitals, such as PUMICE_COORDINATOR_LISTEN or PUMICE_COORDINATOR_TLS_KEY), or as a flag. A flag wins over the \
      environment, and the environment over the file. All keys are explained in Config/coordinator.yaml.

      SIGTERM and SIGINT drain: requests under way are answered, and what was acknowledged is on disk.

      EXAMPLES
        pumice-coordinator --config /etc/pumice/coordinator.yaml
        pumice-coordinator --database memory --join-token-file ./join-token
      """)

  @Option(help: ArgumentHelp("The configuration file. (environment: PUMICE_COORDINATOR_CONFIG)", valueName: "file"))
  var config: String?

  @Option(help: ArgumentHelp("Where to listen. (default: 127.0.0.1:8776)", valueName: "host:port"))
  var listen: String?

  @Option(help: ArgumentHelp("The SQLite file, or 'memory'.", valueName: "file"))
  var database: String?

  @Option(help: ArgumentHelp("The file with the token that agents join with; mode 0600.", valueName: "file"))
  var joinTokenFile: String?

  @Option(
    help: ArgumentHelp("How callers are known: none, token, builtin or keystone. (default: none)", valueName: "mode"))
  var auth: String?

  @Option(help: ArgumentHelp("The file with the tokens of callers; mode 0600.", valueName: "file"))
  var tokensFile: String?

  @Option(help: ArgumentHelp("The file with the users, which `pumice user` manages; mode 0600.", valueName: "file"))
  var usersFile: String?

  @Flag(help: "Serve without authentication on an address that others reach.")
  var allowUnauthenticatedRemote = false

  @Option(help: ArgumentHelp("How often agents report. (default: 10)", valueName: "seconds"))
  var reportInterval: String?

  @Option(help: ArgumentHelp("When a silent node counts as down. (default: 60)", valueName: "seconds"))
  var serviceDownTime: String?

  @Option(help: ArgumentHelp("How many pools are tried for one volume. (default: 3)", valueName: "count"))
  var maxPlacementAttempts: String?

  @Option(
    help: ArgumentHelp(
      "What is logged: trace, debug, info, notice, warning, error or critical. (default: info)", valueName: "level"))
  var logLevel: String?

  mutating func run() async throws {
    let environment = ProcessInfo.processInfo.environment
    let coordinator: Coordinator
    do {
      var file: String?
      if let path = config ?? environment["PUMICE_COORDINATOR_CONFIG"] {
        do { file = try String(contentsOfFile: path, encoding: .utf8) } catch {
          throw StorageError(.invalid, "The configuration file \(path) can't be read: \(error.localizedDescription)")
        }
      }
      let settings = try CoordinatorConfiguration(file: file, environment: environment, flags: flags)
      let level = LogLevel(settings.logLevel)
      LoggingSystem.bootstrap { LeveledLogHandler(StreamLogHandler.standardError(label: $0), from: level) }
      let logger = Logger(label: Coordinator.loggerName)
      coordinator = try await Coordinator.open(settings, logger: logger, logLevel: level) { address in
        print("pumice-coordinator listens on \(address)")
        fflush(nil)
      }
    } catch let error as StorageError {
      throw ValidationError(error.message)
    }
    try await coordinator.runUntilSignal()
  }

  /// The flags that were given, by the keys of the file.
  private var flags: [String: String] {
    let given: [(String, String?)] = [
      ("listen", listen), ("database", database), ("join_token_file", joinTokenFile), ("auth", auth),
      ("tokens_file", tokensFile), ("users_file", usersFile),
      ("allow_unauthenticated_remote", allowUnauthenticatedRemote ? "true" : nil),
      ("report_interval", reportInterval), ("service_down_time", serviceDownTime),
      ("max_placement_attempts", maxPlacementAttempts), ("log_level", logLevel),
    ]
    return Dictionary(uniqueKeysWithValues: given.compactMap { key, value in value.map { (key, $0) } })
  }
}
