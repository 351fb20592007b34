import ArgumentParser

struct Detach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Take a volume away from its instance.",
    discussion: """
      Unmount it in the guest first. A running guest that does not let go of the disk keeps it: detaching is tried for as \
      long as that takes, and the volume stays attached until the guest has the disk no more.

      EXAMPLE
        pumice detach db --wait
      """)

  @Argument(help: "The volume, by name or id.")
  var volume: String

  @Argument(help: "The instance, by name or UUID; needed only where the volume has several.")
  var instance: String?

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    let volume = try await client.volume(volume)
    let server = try await server(of: volume, client)
    try await client.delete(.compute("servers", server, "os-volume_attachments", volume.id))
    guard waiting.wait else {
      if output.json { Console.current.write(volume.json.pretty) }
      output.confirm("Volume \(volume.label) is being detached from \(server).", id: volume.id)
      return
    }
    let detached = try await waiting.follow(volume, whileItIsBeing: "detached", client) { now in
      let isHeld = now.attachments.contains { $0["server_id"].text == server }
      return isHeld || now.status == "detaching" ? .going(now.status) : .done(now)
    }
    output.print(detached) { detached.facts }
  }

  private func server(of volume: VolumeResource, _ client: CoordinatorClient) async throws -> String {
    if let instance { return try await client.instance(instance).id }
    let servers = volume.attachments.compactMap { $0["server_id"].string }
    guard let first = servers.first else {
      throw CommandFailure(
        .conflict, "Volume \(volume.label) is \(volume.status) and attached to no instance.",
        advice: volume.status == "attaching" ? "Name the instance to take an attach back." : nil)
    }
    guard servers.count == 1 else {
      throw CommandFailure(
        .conflict,
        "Volume \(volume.label) is attached to \(servers.count) instances: \(servers.joined(separator: ", ")).",
        advice: "Say which one.")
    }
    return first
  }
}
