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
    let explanation = Explanation(
      json: try await client.get(.admin("volumes", volume.id, "explain")), volume: volume)
    if output.json {
      Console.current.write(explanation.json.pretty)
    } else {
      Console.current.write(output.quiet ? volume.id : explanation.text)
    }
  }
}

/// The coordinator's account of one volume, for people.
struct Explanation {
  let json: JSONValue
  let volume: VolumeResource

  var text: String {
    ([Table.facts(facts)] + [attachments, messages].compactMap { $0 }).joined(separator: "\n\n")
  }

  private var facts: [(name: String, value: String)] {
    let tried = json["placement"]["tried"].array.map { $0["pool"].string ?? $0.text }
    var facts = [
      ("volume", volume.name.isEmpty ? volume.id : "\(volume.name) (\(volume.id))"),
      ("status", volume.status), ("size", volume.size.map { "\($0) GiB" } ?? ""),
      ("pool", json["placement"]["pool"].text), ("pending work", Self.work(json)),
      ("last error", json["last_error"].text),
    ]
    if !tried.isEmpty { facts.insert(("tried before", tried.joined(separator: ", ")), at: 4) }
    if let failure = json["volume"]["failure"].string { facts.append(("failure", failure)) }
    return facts
  }

  private var attachments: String? {
    let attachments = json["attachments"].array
    guard !attachments.isEmpty else { return nil }
    var table = Table([
      .init("ATTACHMENT"), .init("INSTANCE"), .init("NODE"), .init("STATE"), .init("DEVICE"), .init("PENDING WORK"),
      .init("LAST ERROR"),
    ])
    for attachment in attachments {
      table.append(
        ["id", "instance", "node", "state", "device"].map { attachment[$0].text }
          + [Self.work(attachment), attachment["last_error"].text])
    }
    return table.text
  }

  private var messages: String? {
    let messages = json["messages"].array
    guard !messages.isEmpty else { return nil }
    return Table.facts(
      messages.map { message in
        (message["created_at"].text, message["text"].string ?? message["user_message"].string ?? message.text)
      })
  }

  /// Such as `provision, attempt 3, next try 2026-01-01T00:00:00Z, 40 %`.
  private static func work(_ json: JSONValue) -> String {
    guard json["pending_work"] != .null else { return "none" }
    var parts = [json["pending_work"].text]
    if let attempts = json["attempts"].int, attempts > 0 { parts.append("failed \(attempts) times") }
    if json["next_try"] != .null { parts.append("next try \(json["next_try"].text)") }
    if let progress = json["progress"].double { parts.append("\(JSONValue.short(progress * 100)) %") }
    return parts.joined(separator: ", ")
  }
}
