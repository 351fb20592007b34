import ArgumentParser

struct SnapshotShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one snapshot.")

  @Argument(help: "The snapshot, by name or id.")
  var snapshot: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let snapshot = try await connection.client.snapshot(snapshot)
    output.print(snapshot) { snapshot.facts }
  }
}
