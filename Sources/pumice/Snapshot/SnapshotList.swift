import ArgumentParser

struct SnapshotList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the snapshots of the project, or of one volume.",
    discussion: """
      EXAMPLES
        pumice snapshot list --volume db
        pumice snapshot list --status error --quiet
        pumice snapshot list --all-projects --json
      """)

  @Option(help: ArgumentHelp("Only those of this volume, by name or id.", valueName: "volume"))
  var volume: String?

  @OptionGroup var which: ListOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    var filters: [(name: String, value: String)] = []
    if let volume { filters.append(("volume_id", try await client.volume(volume).id)) }
    let snapshots: [SnapshotResource] = try await which.list(among: filters, client)
    var columns: [Table.Column] = [
      .init("ID"), .init("NAME"), .init("VOLUME"), .init("STATUS"), .init("GIB", .right), .init("CREATED"),
    ]
    if which.allProjects { columns.append(.init("PROJECT")) }
    let things = volume.map { "snapshots of volume \($0)" } ?? "snapshots"
    output.print(snapshots, none: which.nothing(things, in: client.project), columns) { snapshot in
      var row = [
        snapshot.id, snapshot.name, snapshot.volume, snapshot.status, snapshot.json["size"].text, snapshot.createdAt,
      ]
      if which.allProjects { row.append(snapshot.json["os-extended-snapshot-attributes:project_id"].text) }
      return row
    }
  }
}
