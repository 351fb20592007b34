import ArgumentParser

struct VolumeDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete volumes and their bytes.",
    discussion: """
      An attached volume is refused: detach it first. Of several volumes each is tried; the exit status is that of the \
      first that failed.

      EXAMPLE
        pumice volume delete scratch logs --wait
      """)

  @Argument(help: "The volumes, by name or id.")
  var volumes: [String]

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    var begun: [VolumeResource] = []
    var firstFailure: CommandFailure?

    func attempt(_ work: () async throws -> Void) async throws {
      do {
        try await work()
      } catch let failure as CommandFailure {
        // The last words are those of the first failure, which decides the exit status.
        if firstFailure != nil { Console.current.complain(failure.line) }
        firstFailure = firstFailure ?? failure
      }
    }

    for nameOrID in volumes {
      try await attempt {
        let volume = try await client.volume(nameOrID)
        try await client.delete(.blockStorage("volumes", volume.id))
        begun.append(volume)
      }
    }
    for volume in begun {
      try await attempt {
        if waiting.wait { try await waitUntilGone(volume, client) }
        output.confirm("Volume \(volume.label) is \(waiting.wait ? "gone" : "being deleted").", id: volume.id)
      }
    }
    if output.json { Console.current.write(JSONValue.array(begun.map { .string($0.id) }).pretty) }
    if let firstFailure { throw firstFailure }
  }

  private func waitUntilGone(_ volume: VolumeResource, _ client: CoordinatorClient) async throws {
    try await waiting.until("Volume \(volume.label)") {
      guard let now = try await client.volume(id: volume.id) else { return .done(()) }
      if now.status == "error_deleting" {
        throw await client.failure("Volume \(volume.label) could not be deleted", of: now.id)
      }
      return .going(now.status)
    }
  }
}
