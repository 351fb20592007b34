extension VolumeResource {
  /// What `show` and `create` tell about it.
  var facts: [(name: String, value: String)] {
    [
      ("id", id), ("name", name), ("description", json["description"].text), ("status", status),
      ("size", size.map { "\($0) GiB" } ?? ""), ("type", json["volume_type"].text), ("made from", origin),
      ("availability zone", json["availability_zone"].text), ("pool", json["os-vol-host-attr:host"].text),
      ("metadata", json["metadata"].text),
      ("attached to", attachments.map(Self.place).joined(separator: "; ")),
      ("created", json["created_at"].text), ("updated", json["updated_at"].text),
    ]
  }

  private var origin: String {
    if let snapshot = json["snapshot_id"].string { return "snapshot \(snapshot)" }
    return json["source_volid"].string.map { "volume \($0)" } ?? ""
  }

  private static func place(of attachment: JSONValue) -> String {
    let device = attachment["device"].string.map { " as \($0)" } ?? ""
    let node = attachment["host_name"].string.map { " on \($0)" } ?? ""
    return attachment["server_id"].text + device + node
  }
}
