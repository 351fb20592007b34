extension VolumeResource {
  /// What `show` and `create` tell about it.
  var facts: [(name: String, value: String)] {
    [
      ("id", id), ("name", name), ("description", json["description"].text), ("status", status),
      ("size", size.map { "\($0) GiB" } ?? ""), ("type", json["volume_type"].text),
      ("availability zone", json["availability_zone"].text), ("pool", json["os-vol-host-attr:host"].text),
      ("metadata", json["metadata"].text),
      ("attached to", attachments.map(Self.place).joined(separator: "; ")),
      ("created", json["created_at"].text), ("updated", json["updated_at"].text),
    ]
  }

  private static func place(of attachment: JSONValue) -> String {
    let device = attachment["device"].string.map { " as \($0)" } ?? ""
    let node = attachment["host_name"].string.map { " on \($0)" } ?? ""
    return attachment["server_id"].text + device + node
  }
}

extension CoordinatorClient {
  /// Why a volume is in an error state, as far as the coordinator says.
  func reason(for id: String) async -> String? {
    guard let explanation = try? await get(.admin("volumes", id, "explain")) else { return nil }
    let messages = explanation["messages"].array.compactMap { $0["text"].string ?? $0["user_message"].string }
    return explanation["volume"]["failure"].string ?? explanation["last_error"].string ?? messages.last
  }

  /// The failure of something that ended in an error state.
  func failure(_ attempt: String, of id: String) async -> CommandFailure {
    if let reason = await reason(for: id) { return CommandFailure(.failed, "\(attempt): \(reason)") }
    return CommandFailure(.failed, "\(attempt).", advice: "See: pumice explain \(id)")
  }
}
