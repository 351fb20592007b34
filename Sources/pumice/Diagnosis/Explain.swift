import ArgumentParser

struct Explain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say where a volume is, what is being done about it, and what went wrong.",
    discussion: """
      Shows the pool and those tried before it, the pending work with its attempts and next try, the last error, every \
      attachment likewise, and the messages kept about it.

      EXAMPLE
        pumice explain db
      """)

  @Argument(help: "The volume, by name or id.")
  var volume: String

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let client = connection.client
    let volume = try await client.volume(volume)
    Explanation(of: volume, json: try await client.explanation(of: volume)).print(as: output)
  }
}
