import ArgumentParser

struct QuotaShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show a project's quota and what it uses of it.")

  @Argument(help: "The project; that of --project without this.")
  var target: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    try await client.quota(of: target ?? client.project).print(as: output)
  }
}
