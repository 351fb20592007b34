import ArgumentParser

struct VolumeCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a volume: empty, from a snapshot, or as a copy of another volume.",
    discussion: """
      The scheduler finds a pool for it; one with a source goes to the pool of that. Without --wait the command ends when \
      the volume is on record; pumice volume show tells when it is available, and pumice explain why it is not.

      EXAMPLES
        pumice volume create db --size 10 --wait
        pumice volume create logs --size 200 --type hdd --availability-zone rack2 --metadata owner=ops
        pumice volume create db-test --snapshot nightly --wait
        pumice volume create db-large --source db --size 50
        id=$(pumice volume create scratch --size 1 --wait --quiet)
      """)

  @Argument(help: "Its name. Names need not be unique, but unique ones are easier to use.")
  var name: String

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Its size in GiB; that of its source without this.", valueName: "GiB"))
  var size: Int?

  @Option(help: ArgumentHelp("Begin with the content of this snapshot, by name or id.", valueName: "snapshot"))
  var snapshot: String?

  @Option(help: ArgumentHelp("Begin with the content of this volume as it is now, by name or id.", valueName: "volume"))
  var source: String?

  @Option(help: ArgumentHelp("The volume type, by name or id.", valueName: "type"))
  var type: String?

  @Option(help: ArgumentHelp("The availability zone it must be in; any without this.", valueName: "zone"))
  var availabilityZone: String?

  @OptionGroup var notes: NoteOptions
  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    try NoteOptions.checkName(name)
    if let size { try VolumeSize.check(size) }
    switch (snapshot, source) {
    case (.some, .some): throw ValidationError("--snapshot and --source exclude each other.")
    case (nil, nil) where size == nil: throw ValidationError("Give --size, or --snapshot or --source to take theirs.")
    default: break
    }
  }

  func run() async throws {
    let client = connection.client
    var body: [String: JSONValue] = ["name": .string(name)]
    body["size"] = size.map { .integer(Int64($0)) }
    if let snapshot { body["snapshot_id"] = .string(try await client.snapshot(snapshot).id) }
    if let source { body["source_volid"] = .string(try await client.volume(source).id) }
    body["volume_type"] = type.map(JSONValue.string)
    body["availability_zone"] = availabilityZone.map(JSONValue.string)
    notes.add(to: &body)
    let answer = try await client.post(.blockStorage("volumes"), ["volume": .object(body)])
    var volume = VolumeResource(json: answer["volume"])
    // Where no pool fits, it is in error from the start: nobody should have to wait to be told.
    if waiting.wait || volume.status == "error" { volume = try await waiting.untilMade(volume, "created", client) }
    output.print(volume) { volume.facts }
  }
}

enum VolumeSize {
  /// What the API takes: a database integer's worth of gibibytes.
  static func check(_ size: Int) throws {
    guard (1...Int(Int32.max)).contains(size) else {
      throw ValidationError("--size must be a whole number of GiB from 1 on, not \(size).")
    }
  }
}
