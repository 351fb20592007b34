import ArgumentParser

struct NodeShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one node.")

  @Argument(help: "The node's name.")
  var node: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let node = try await connection.client.node(node)
    output.print(node) { node.facts }
  }
}
