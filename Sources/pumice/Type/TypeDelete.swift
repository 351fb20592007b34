import ArgumentParser

struct TypeDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete a volume type that no volume has.")

  @Argument(help: "The type, by name or id.")
  var type: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    let type = try await client.type(type)
    try await client.delete(.blockStorage("types", type.id))
    if output.json { Console.current.write(type.json.pretty) }
    output.confirm("Volume type \(type.name) is deleted.", id: type.id)
  }
}
