import ArgumentParser

struct NodeList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the nodes with their state.",
    discussion: """
      A node is down when it has not reported for service_down_time (60 s). A disabled node gets no new volumes; what it \
      has keeps being served; why it is disabled stands beside ENABLED.
      """)

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let nodes = try await connection.client.nodes()
    output.print(
      nodes, none: "No nodes: no agent has reported yet.",
      [
        .init("NAME"), .init("STATE"), .init("ENABLED"), .init("ZONE"), .init("POOLS", .right),
        .init("INSTANCES", .right), .init("LAST REPORT"), .init("ADDRESS"),
      ]
    ) { node in
      [
        node.name, node.state, node.enabled, node.json["availability_zone"].text,
        "\(node.json["pools"].array.count)", node.json["instances_count"].text, node.json["last_report"].text,
        node.json["address"].text,
      ]
    }
  }
}
