import ArgumentParser

struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node", abstract: "The machines with an agent: storage nodes, compute nodes, or both.",
    subcommands: [NodeList.self, NodeShow.self, NodeEnable.self, NodeDisable.self, NodeLost.self])
}

extension CoordinatorClient {
  func node(_ name: String) async throws -> NodeResource {
    let answer = try await get(.admin("nodes", name))
    return NodeResource(json: answer["node"] == .null ? answer : answer["node"])
  }

  func nodes() async throws -> [NodeResource] {
    let answer = try await get(.admin("nodes"))
    return (answer["nodes"] == .null ? answer : answer["nodes"]).array.map(NodeResource.init)
  }

  /// Changes what is given and leaves the rest as it is.
  func change(_ node: String, _ changes: [String: JSONValue]) async throws -> NodeResource {
    _ = try await put(.admin("nodes", node), .object(changes))
    return try await self.node(node)
  }
}

extension NodeResource {
  var facts: [(name: String, value: String)] {
    [
      ("name", name), ("state", state), ("enabled", json["enabled"].text),
      ("disabled because", json["disabled_reason"].text), ("address", json["address"].text),
      ("availability zone", json["availability_zone"].text), ("last report", json["last_report"].text),
      ("version", json["version"].text), ("hypervisor", json["hypervisor"].text),
      ("connectors", json["connectors"].array.map { $0["kind"].string ?? $0.text }.joined(separator: ", ")),
      ("pools", json["pools"].array.map(Self.pool).joined(separator: ", ")),
      ("instances", json["instances_count"].text),
    ]
  }

  /// Whether it gets new volumes, and if not, why.
  var enabled: String {
    let text = json["enabled"].text
    return json["enabled"].bool == false ? json["disabled_reason"].string.map { "\(text): \($0)" } ?? text : text
  }

  private static func pool(_ pool: JSONValue) -> String {
    if let name = pool["name"].string { return name }
    guard let backend = pool["backend"].string, let name = pool["pool"].string else { return pool.text }
    return "\(backend)#\(name)"
  }
}
