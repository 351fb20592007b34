import ArgumentParser

struct TypeShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one volume type.")

  @Argument(help: "The type, by name or id.")
  var type: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let type = try await connection.client.type(type)
    output.print(type) { type.facts }
  }
}
