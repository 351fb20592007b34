import ArgumentParser
import Foundation
import PumiceAgent

/// The options that both commands have.
struct Options: ParsableArguments {
  static let defaultFile = "/etc/pumice/agent.yaml"

  @Option(
    name: .shortAndLong, help: "The configuration file. Default: $PUMICE_AGENT_CONFIG, or \(defaultFile) if there.")
  var config: String?

  @Option(help: "This node's name in the fleet. Default: the host name.")
  var name: String?

  @Option(help: "Where to listen, as host:port. Default: 127.0.0.1:9776.")
  var listen: String?

  @Option(help: "The URL under which the coordinator reaches this agent. Default: http://<listen>.")
  var address: String?

  @Option(help: "The coordinator's URL.")
  var coordinator: String?

  @Option(help: "Where to keep what has to survive a restart. Default: /var/lib/pumice/agent.")
  var stateDirectory: String?

  @Option(help: "The file with the token that callers have to show. Default: the join token's.")
  var tokenFile: String?

  @Option(help: "The file with the fleet's join token.")
  var joinTokenFile: String?

  @Option(help: "trace, debug, info, notice, warning, error or critical. Default: info.")
  var logLevel: String?

  @Option(
    name: .customLong("set"), help: "Any other key that has one value, such as exporter.kind=memory; may be repeated.")
  var settings: [Setting] = []

  struct Setting: ExpressibleByArgument {
    let key: AgentConfiguration.Key
    let value: String

    init?(argument: String) {
      guard let equals = argument.firstIndex(of: "="),
        let key = AgentConfiguration.Key(rawValue: String(argument[..<equals]))
      else { return nil }
      self.key = key
      value = String(argument[argument.index(after: equals)...])
    }
  }

  /// The configuration as file, environment and flags give it.
  func configuration() throws -> AgentConfiguration {
    let environment = ProcessInfo.processInfo.environment
    let fallback = FileManager.default.fileExists(atPath: Self.defaultFile) ? Self.defaultFile : nil
    return try AgentConfiguration.read(
      file: config ?? environment["PUMICE_AGENT_CONFIG"] ?? fallback, environment: environment, flags: flags)
  }

  private var flags: [AgentConfiguration.Key: String] {
    var flags: [AgentConfiguration.Key: String] = [:]
    for setting in settings { flags[setting.key] = setting.value }
    flags[.name] = name ?? flags[.name]
    flags[.listen] = listen ?? flags[.listen]
    flags[.address] = address ?? flags[.address]
    flags[.coordinator] = coordinator ?? flags[.coordinator]
    flags[.stateDirectory] = stateDirectory ?? flags[.stateDirectory]
    flags[.tokenFile] = tokenFile ?? flags[.tokenFile]
    flags[.joinTokenFile] = joinTokenFile ?? flags[.joinTokenFile]
    flags[.logLevel] = logLevel ?? flags[.logLevel]
    return flags
  }
}
