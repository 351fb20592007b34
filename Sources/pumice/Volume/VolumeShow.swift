import ArgumentParser

struct VolumeShow: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one volume.")

  @Argument(help: "The volume, by name or id.")
  var volume: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let volume = try await connection.client.volume(volume)
    output.print(volume) { volume.facts }
  }
}
