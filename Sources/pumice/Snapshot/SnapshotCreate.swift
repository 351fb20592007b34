import ArgumentParser

struct SnapshotCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Take a snapshot of a volume, attached or not.",
    discussion: """
      It lies on the volume's pool and counts for the quota with the volume's size. The file systems of a running guest are \
      held still while it is taken, if the guest runs the QEMU guest agent; else what the guest has not written out yet is \
      not in it. `pumice snapshot show` says which it was: consistency `quiesced` or `crash`.

      EXAMPLES
        pumice snapshot create db --name before-upgrade --wait
        pumice snapshot create db --metadata ticket=4711
        id=$(pumice snapshot create db --wait --quiet)
      """)

  @Argument(help: "The volume, by name or id.")
  var volume: String

  @Option(help: ArgumentHelp("The snapshot's name; none without this.", valueName: "name"))
  var name: String?

  @OptionGroup var notes: NoteOptions
  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    if let name { try NoteOptions.checkName(name) }
  }

  func run() async throws {
    let client = connection.client
    var body: [String: JSONValue] = ["volume_id": .string(try await client.volume(volume).id)]
    body["name"] = name.map(JSONValue.string)
    notes.add(to: &body)
    // Before 3.66 attached volumes wanted `force`.
    let answer = try await client.post(
      .blockStorage("snapshots").requiring("3.66"), ["snapshot": .object(body)])
    var snapshot = SnapshotResource(json: answer["snapshot"])
    if waiting.wait { snapshot = try await waiting.untilMade(snapshot, "taken", client) }
    output.print(snapshot) { snapshot.facts }
  }
}
