import ArgumentParser

struct TypeList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List the volume types.")

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let types = try await connection.client.list(.blockStorage("types"), "volume_types").map(TypeResource.init)
    output.print(types, none: "No volume types.", [.init("ID"), .init("NAME"), .init("PUBLIC"), .init("EXTRA SPECS")]) {
      [$0.id, $0.name, $0.json["is_public"].text, $0.json["extra_specs"].text]
    }
  }
}
