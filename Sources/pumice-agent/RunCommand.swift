import ArgumentParser
import PumiceAgent
import PumiceWire

struct RunCommand: AsyncParsableCommand {
  static let version = AgentVersion.current
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Serve this node until SIGTERM.",
    discussion: """
      Restores exports and secrets from its own records first, with or without a coordinator. When it stops, tgtd and
      running instances go on; when it starts again, it carries on where it was.
      """)

  @OptionGroup var options: Options

  func run() async throws {
    let configuration = try options.configuration()
    let level = LogLevel(configuration.logLevel)
    let agent = try await Agent(configuration, logger: Agent.logger(level), logLevel: level)
    try await agent.runUntilSignal()
  }
}
