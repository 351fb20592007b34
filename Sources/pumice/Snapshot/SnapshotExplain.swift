import ArgumentParser

struct SnapshotExplain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say where a snapshot is, what is being done about it, and what went wrong.",
    discussion: """
      Shows the pool, the pending work with its attempts and next try, and the last error.

      EXAMPLE
        pumice snapshot explain before-upgrade
      """)

  @Argument(help: "The snapshot, by name or id.")
  var snapshot: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    let snapshot = try await client.snapshot(snapshot)
    Explanation(of: snapshot, json: try await client.explanation(of: snapshot)).print(as: output)
  }
}
