/// The coordinator's account of one volume or snapshot, for people.
struct Explanation<Resource: ProjectResource> {
  let resource: Resource
  let json: JSONValue

  init(of resource: Resource, json: JSONValue) {
    self.resource = resource
    self.json = json
  }

  func print(as output: OutputOptions) {
    Console.current.write(output.json ? json.pretty : output.quiet ? resource.id : text)
  }

  var text: String {
    ([Table.facts(facts)] + [attachments, messages].compactMap { $0 }).joined(separator: "\n\n")
  }

  private var facts: [(name: String, value: String)] {
    let tried = json["placement"]["tried"].array.map { $0["pool"].string ?? $0.text }
    let (failure, lastError) = (self.failure, json["last_error"].text)
    var facts: [(name: String, value: String)] = [
      (Resource.kind, resource.name.isEmpty ? resource.id : "\(resource.name) (\(resource.id))"),
      ("status", resource.status), ("size", resource.size.map { "\($0) GiB" } ?? ""),
    ]
    if let volume = json[Resource.kind]["volume"].string { facts.append(("of volume", volume)) }
    facts.append(("pool", json["placement"]["pool"].text))
    if !tried.isEmpty { facts.append(("tried before", tried.joined(separator: ", "))) }
    facts.append(("pending work", Self.work(json)))
    facts.append(("last error", lastError == failure ? "" : lastError))
    guard let failure else { return facts }
    facts.append(("failure", failure))
    if let told = json["messages"].array.last(where: { Self.text(of: $0) == failure }) {
      facts.append(("failed at", told["created_at"].text))
    }
    return facts
  }

  private var failure: String? { json[Resource.kind]["failure"].string }

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

  /// What has happened before; the failure that the facts tell is not told again.
  private var messages: String? {
    let messages = json["messages"].array.filter { Self.text(of: $0) != failure }
    guard !messages.isEmpty else { return nil }
    return Table.facts(messages.map { ($0["created_at"].text, Self.text(of: $0)) })
  }

  private static func text(of message: JSONValue) -> String {
    message["text"].string ?? message["user_message"].string ?? message.text
  }

  /// Such as `provision, failed 3 times, next try 2026-01-01T00:00:00Z, 40 %`.
  private static func work(_ json: JSONValue) -> String {
    guard json["pending_work"] != .null else { return "none" }
    var parts = [json["pending_work"].text]
    if let attempts = json["attempts"].int, attempts > 0 { parts.append("failed \(attempts) times") }
    if json["next_try"] != .null { parts.append("next try \(json["next_try"].text)") }
    if let progress = json["progress"].double { parts.append("\(JSONValue.short(progress * 100)) %") }
    return parts.joined(separator: ", ")
  }
}
