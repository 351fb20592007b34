import ArgumentParser

struct VolumeDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete volumes and their bytes.",
    discussion: """
      An attached volume is refused: detach it first. So is one with snapshots, unless --cascade takes them along. Of \
      several volumes each is tried; the exit status is that of the first that failed.

      EXAMPLES
        pumice volume delete scratch logs --wait
        pumice volume delete db-test --cascade
      """)

  @Argument(help: "The volumes, by name or id.")
  var volumes: [String]

  @Flag(help: "Delete their snapshots too.")
  var cascade = false

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    try await Deletion(client: client, waiting: waiting, output: output).run(volumes) {
      try await client.volume($0)
    } path: { volume in
      let path = APIPath.blockStorage("volumes", volume.id)
      return cascade ? path.adding("cascade", "true") : path
    }
  }
}
