import ArgumentParser

@main
struct Main: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pumice-agent",
    abstract: "Pumice's agent: does the work on one node.",
    discussion: """
      A node with backends stores volumes and exports them; a node with a hypervisor attaches them to its instances.
      Settings come from the configuration file, over it the environment (PUMICE_AGENT_<KEY>, such as
      PUMICE_AGENT_EXPORTER_KIND), over that flags. Config/agent.yaml tells of every key.
      """,
    version: RunCommand.version,
    subcommands: [RunCommand.self, CheckCommand.self],
    defaultSubcommand: RunCommand.self)
}
