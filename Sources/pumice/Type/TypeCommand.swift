import ArgumentParser

struct TypeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "type", abstract: "Volume types: what a pool must offer, under a name.",
    subcommands: [TypeList.self, TypeShow.self, TypeCreate.self, TypeDelete.self])
}

extension TypeResource {
  var facts: [(name: String, value: String)] {
    [
      ("id", id), ("name", name), ("description", json["description"].text), ("public", json["is_public"].text),
      ("extra specs", json["extra_specs"].text),
    ]
  }
}
