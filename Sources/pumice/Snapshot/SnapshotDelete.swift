import ArgumentParser

struct SnapshotDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete snapshots and their bytes.",
    discussion: """
      The volume and what was made from the snapshot stay. One from which a volume is just being made is refused. Of \
      several snapshots each is tried; the exit status is that of the first that failed.

      EXAMPLES
        pumice snapshot delete before-upgrade --wait
        pumice snapshot list --volume db --quiet | xargs pumice snapshot delete
      """)

  @Argument(help: "The snapshots, by name or id.")
  var snapshots: [String]

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    try await Deletion(client: client, waiting: waiting, output: output).run(snapshots) {
      try await client.snapshot($0)
    } path: {
      .blockStorage("snapshots", $0.id)
    }
  }
}
