import ArgumentParser

struct VolumeExtend: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extend", abstract: "Make a volume larger, attached or not.",
    discussion: """
      The instance sees the new size at once; growing the file system in it is up to the guest. Volumes never shrink.

      EXAMPLE
        pumice volume extend db --size 20 --wait
      """)

  @Argument(help: "The volume, by name or id.")
  var volume: String

  @Option(parsing: .unconditional, help: ArgumentHelp("Its new size in GiB.", valueName: "GiB"))
  var size: Int

  @OptionGroup var waiting: WaitOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws { try VolumeSize.check(size) }

  func run() async throws {
    let client = connection.client
    let volume = try await client.volume(volume)
    // Attached volumes are extended from microversion 3.42 on.
    _ = try await client.post(
      .blockStorage("volumes", volume.id, "action").requiring("3.42"),
      ["os-extend": ["new_size": .integer(Int64(size))]])
    guard waiting.wait else {
      output.confirm("Volume \(volume.label) is growing to \(size) GiB.", id: volume.id)
      return
    }
    let grown = try await waiting.follow(volume, whileItIsBeing: "extended", client) { now in
      if now.status == "error_extending" {
        throw await client.failure("\(now.title) could not be extended", of: now)
      }
      if now.status != "extending", let present = now.size, present >= size { return .done(now) }
      return .going(now.status)
    }
    output.print(grown) { grown.facts }
  }
}
