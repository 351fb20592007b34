import ArgumentParser

struct VolumeCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create an empty volume.",
    discussion: """
      The scheduler finds a pool for it. Without --wait the command ends when the volume is on record; pumice volume show \
      tells when it is available, and pumice explain why it is not.

      EXAMPLES
        pumice volume create db --size 10 --wait
        pumice volume create logs --size 200 --type hdd --availability-zone rack2 --metadata owner=ops
        id=$(pumice volume create scratch --size 1 --wait --quiet)
      """)

  @Argument(help: "Its name. Names need not be unique, but unique ones are easier to use.")
  var name: String

  @Option(parsing: .unconditional, help: ArgumentHelp("Its size in GiB.", valueName: "GiB"))
  var size: Int

  @Option(help: ArgumentHelp("The volume type, by name or id.", valueName: "type"))
  var type: String?

  @Option(help: ArgumentHelp("The availability zone it must be in; any without this.", valueName: "zone"))
  var availabilityZone: String?

  @Option(help: ArgumentHelp("A note for people.", valueName: "text"))
  var description: String?

  @Option(help: ArgumentHelp("A pair to keep with it. May be repeated.", valueName: "key=value"))
  var metadata: [KeyValue] = []

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    try VolumeSize.check(size)
    guard name.count <= 255 else { throw ValidationError("A name has at most 255 characters.") }
  }

  func run() async throws {
    let client = connection.client
    var body: [String: JSONValue] = ["name": .string(name), "size": .integer(Int64(size))]
    body["volume_type"] = type.map(JSONValue.string)
    body["availability_zone"] = availabilityZone.map(JSONValue.string)
    body["description"] = description.map(JSONValue.string)
    if !metadata.isEmpty { body["metadata"] = metadata.json }
    let answer = try await client.post(.blockStorage("volumes"), ["volume": .object(body)])
    var volume = VolumeResource(json: answer["volume"])
    // Where no pool fits, it is in error from the start: nobody should have to wait to be told.
    if waiting.wait || volume.status == "error" { volume = try await becomeAvailable(volume, client) }
    output.print(volume) { volume.facts }
  }

  private func becomeAvailable(_ volume: VolumeResource, _ client: CoordinatorClient) async throws -> VolumeResource {
    try await waiting.until("Volume \(volume.label)") {
      guard let now = try await client.volume(id: volume.id) else {
        throw CommandFailure(.notFound, "Volume \(volume.label) was deleted while it was being created.")
      }
      switch now.status {
      case "creating": return .going("creating")
      case "error": throw await client.failure("Volume \(volume.label) (\(volume.id)) could not be created", of: now.id)
      default: return .done(now)
      }
    }
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
