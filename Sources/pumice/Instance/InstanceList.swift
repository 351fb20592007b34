import ArgumentParser

struct InstanceList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the instances that the nodes report, with their volumes.")

  @Option(help: ArgumentHelp("Only those on this node.", valueName: "node"))
  var node: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let instances = try await connection.client.list(.compute("servers", "detail"), "servers")
      .map(InstanceResource.init).filter { node == nil || $0.node == node }
    output.print(
      instances, none: "No instances.",
      [.init("ID"), .init("NAME"), .init("STATUS"), .init("NODE"), .init("VOLUMES")]
    ) { instance in
      [instance.id, instance.name, instance.status, instance.node, instance.volumes.joined(separator: ", ")]
    }
  }
}
