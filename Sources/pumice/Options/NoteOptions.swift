import ArgumentParser

/// What a user notes on something new.
struct NoteOptions: ParsableArguments {
  @Option(help: ArgumentHelp("A note for people.", valueName: "text"))
  var description: String?

  @Option(
    name: [.long, .customLong("property")],
    help: ArgumentHelp("A pair to keep with it. May be repeated.", valueName: "key=value"))
  var metadata: [KeyValue] = []

  /// The members that a request's body gets.
  func add(to body: inout [String: JSONValue]) {
    body["description"] = description.map(JSONValue.string)
    if !metadata.isEmpty { body["metadata"] = metadata.json }
  }

  static func checkName(_ name: String) throws {
    guard name.contains(where: { !$0.isWhitespace }) else { throw ValidationError("A name must not be empty.") }
    guard name.unicodeScalars.count <= 255 else { throw ValidationError("A name has at most 255 characters.") }
  }
}
