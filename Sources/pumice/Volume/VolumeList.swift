import ArgumentParser

struct VolumeList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the volumes of the project.",
    discussion: """
      EXAMPLES
        pumice volume list
        pumice volume list --status error --quiet
        pumice volume list --all-projects --json
      """)

  @Option(help: ArgumentHelp("Only volumes of this name.", valueName: "name"))
  var name: String?

  @Option(help: ArgumentHelp("Only volumes with this status, such as available or in-use.", valueName: "status"))
  var status: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("At most so many; all without this.", valueName: "count"))
  var limit: Int?

  @Flag(help: "The volumes of all projects; for administrators.")
  var allProjects = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    if let limit, !(1...1000).contains(limit) { throw ValidationError("--limit must be from 1 to 1000, not \(limit).") }
  }

  func run() async throws {
    let client = connection.client
    var path = APIPath.blockStorage("volumes", "detail")
    if let name { path = path.adding("name", name) }
    if let status { path = path.adding("status", status) }
    if allProjects { path = path.adding("all_tenants", "1") }
    let items =
      if let limit { try await client.list(path, "volumes", limit: limit) } else {
        try await client.list(path, "volumes")
      }
    var columns: [Table.Column] = [
      .init("ID"), .init("NAME"), .init("STATUS"), .init("GIB", .right), .init("TYPE"), .init("ZONE"),
      .init("ATTACHED TO"),
    ]
    if allProjects { columns.append(.init("PROJECT")) }
    output.print(items.map(VolumeResource.init), none: "No volumes.", columns) { volume in
      var row = [
        volume.id, volume.name, volume.status, volume.json["size"].text, volume.json["volume_type"].text,
        volume.json["availability_zone"].text,
        volume.attachments.map { $0["server_id"].text }.joined(separator: ", "),
      ]
      if allProjects { row.append(volume.json["os-vol-tenant-attr:tenant_id"].text) }
      return row
    }
  }
}
