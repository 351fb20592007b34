import ArgumentParser

struct TypeCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a volume type.",
    discussion: """
      Its extra specs say what a pool must offer. A value is a text that must be equal, or begins with an operator: \
      = >= <= == != for numbers, s== s!= s< s<= s> s>= for texts, <in>, <is>, <or>.

      EXAMPLES
        pumice type create ssd --spec "ssd=<is> true"
        pumice type create fast --spec storage_protocol=iSCSI --spec "iops=>= 5000"
        pumice type create shared --spec "multiattach=<is> True"   (for several instances at the same time)
      """)

  @Argument(help: "Its name.")
  var name: String

  @Option(name: .customLong("spec"), help: ArgumentHelp("An extra spec. May be repeated.", valueName: "key=value"))
  var specs: [KeyValue] = []

  @Option(help: ArgumentHelp("A note for people.", valueName: "text"))
  var description: String?

  @Flag(name: .customLong("private"), help: "Not for every project.")
  var isPrivate = false

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws { try NoteOptions.checkName(name) }

  func run() async throws {
    var body: [String: JSONValue] = ["name": .string(name), "os-volume-type-access:is_public": .bool(!isPrivate)]
    body["description"] = description.map(JSONValue.string)
    if !specs.isEmpty { body["extra_specs"] = specs.json }
    let answer = try await connection.client.post(.blockStorage("types"), ["volume_type": .object(body)])
    let type = TypeResource(json: answer["volume_type"])
    output.print(type) { type.facts }
  }
}
