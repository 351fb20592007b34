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

  @OptionGroup var which: ListOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    let volumes: [VolumeResource] = try await which.list(client)
    var columns: [Table.Column] = [
      .init("ID"), .init("NAME"), .init("STATUS"), .init("GIB", .right), .init("TYPE"), .init("ZONE"),
      .init("ATTACHED TO"),
    ]
    if which.allProjects { columns.append(.init("PROJECT")) }
    output.print(volumes, none: which.nothing("volumes", in: client.project), columns) { volume in
      var row = [
        volume.id, volume.name, volume.status, volume.json["size"].text, volume.json["volume_type"].text,
        volume.json["availability_zone"].text,
        volume.attachments.map { $0["server_id"].text }.joined(separator: ", "),
      ]
      if which.allProjects { row.append(volume.json["os-vol-tenant-attr:tenant_id"].text) }
      return row
    }
  }
}
