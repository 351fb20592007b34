import ArgumentParser

struct NodeDisable: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disable", abstract: "Give a node no new volumes; what it has keeps being served.",
    discussion: """
      EXAMPLE
        pumice node disable storage3 --reason "new disks on Friday"
      """)

  @Argument(help: "The node's name.")
  var node: String

  @Option(help: ArgumentHelp("Why; told to those whose volumes find no pool.", valueName: "text"))
  var reason: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    var changes: [String: JSONValue] = ["enabled": false]
    changes["disabled_reason"] = reason.map(JSONValue.string)
    let node = try await connection.client.change(node, changes)
    output.print(node) { node.facts }
  }
}
