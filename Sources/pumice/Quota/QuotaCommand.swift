import ArgumentParser

struct QuotaCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quota", abstract: "What a project has and may have.", subcommands: [QuotaShow.self, QuotaSet.self])
}

/// The quota of one project, with or without usage.
struct QuotaResource: NamedResource {
  let json: JSONValue
  var name: String { id }

  /// Resource, in use, limit; sorted by name. Cinder's `id` is no resource.
  var rows: [(resource: String, used: String, limit: String)] {
    json.object.filter { $0.key != "id" }.sorted { $0.key < $1.key }.map { resource, value in
      let limit = value["limit"] == .null ? value : value["limit"]
      return (resource, value["in_use"].text, limit.int == -1 ? "unlimited" : limit.text)
    }
  }

  func print(as output: OutputOptions) {
    if output.json || output.quiet { return output.print(self) { [] } }
    var table = Table([.init("RESOURCE"), .init("IN USE", .right), .init("LIMIT", .right)])
    for row in rows { table.append([row.resource, row.used, row.limit]) }
    Console.current.write(table.text)
  }
}

extension CoordinatorClient {
  func quota(of project: String) async throws -> QuotaResource {
    QuotaResource(json: try await get(.blockStorage("os-quota-sets", project).adding("usage", "True"))["quota_set"])
  }
}
