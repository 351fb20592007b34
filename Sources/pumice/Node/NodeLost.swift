import ArgumentParser

struct NodeLost: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lost", abstract: "Declare that a node will not come back.",
    discussion: """
      Work that waits for the node then ends without it: volumes on it can be deleted, and attachments of its instances \
      are taken as gone. Only say so of a machine that is off for good: one that still runs guests would keep writing to \
      volumes that are then given to others.

      EXAMPLES
        pumice node lost storage3 --yes
        pumice node lost storage3 --undo
      """)

  @Argument(help: "The node's name.")
  var node: String

  @Flag(help: "I have made sure that the machine is off.")
  var yes = false

  @Flag(help: "It is back after all.")
  var undo = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard yes != undo else {
      throw ValidationError("Give --yes once the machine is off for good, or --undo when it is back.")
    }
  }

  func run() async throws {
    let node = try await connection.client.change(node, ["lost": .bool(!undo)])
    output.print(node) { node.facts }
  }
}
