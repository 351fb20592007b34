import ArgumentParser

struct NodeEnable: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enable", abstract: "Let a node get new volumes again.")

  @Argument(help: "The node's name.")
  var node: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let node = try await connection.client.change(node, ["enabled": true])
    output.print(node) { node.facts }
  }
}
