import ArgumentParser

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare the nodes with the coordinator's records and show every difference.",
    discussion: """
      Each finding comes with what would mend it; nothing is changed. Exit status 0 means no findings, 1 that there are \
      some, so that a monitor can call it.
      """)

  @OptionGroup var output: OutputOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let findings = try await connection.client.get(.admin("doctor"))["findings"].array.map(Finding.init)
    if findings.isEmpty, !output.json {
      if !output.quiet { Console.current.write("All nodes agree with the records.") }
      return
    }
    output.print(
      findings, none: "",
      [.init("KIND"), .init("NODE"), .init("RESOURCE"), .init("DETAIL"), .init("REMEDY")]
    ) { finding in
      ["kind", "node", "resource", "detail", "remedy"].map { finding.json[$0].text }
    }
    if !findings.isEmpty { throw ExitCode(ExitStatus.failed.rawValue) }
  }
}

/// One difference between a node and the records.
struct Finding: NamedResource {
  let json: JSONValue
  var id: String { json["resource"].text }
  var name: String { id }
}
