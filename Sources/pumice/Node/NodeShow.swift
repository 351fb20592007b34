import ArgumentParser

struct NodeShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one node.",
    discussion: """
      With --wait it first waits until the node's agent has reported, and is up: then its pools can be used.

      EXAMPLES
        pumice node show storage3
        pumice node show storage3 --wait --timeout 60
      """)

  @Argument(help: "The node's name.")
  var node: String

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    let node = waiting.wait ? try await untilUp(client) : try await client.node(node)
    output.print(node) { node.facts }
  }

  private func untilUp(_ client: CoordinatorClient) async throws -> NodeResource {
    try await waiting.until("Node \(node)", advice: "The log of its agent says why.") {
      do {
        let now = try await client.node(node)
        return now.state == "up" ? .done(now) : .going(now.state)
      } catch let failure as CommandFailure where failure.status == .notFound {
        return .going("it has not reported yet")
      }
    }
  }
}
