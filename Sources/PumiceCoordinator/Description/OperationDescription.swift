/// What the description of the API says of a route, or of one action of a route.
struct OperationDescription: Sendable {
  /// As `RegisteredRoute.name` has it.
  let route: String
  /// What it does, in a few words.
  let summary: String
  /// What the query may have.
  let query: [String: Schema]
  let body: Schema?
  let status: Int
  /// What the answer has; `nil` for none.
  let answer: Schema?

  init(
    _ route: String, _ summary: String, query: [String: Schema] = [:], body: Schema? = nil, _ status: Int = 200,
    _ answer: Schema? = nil
  ) {
    self.route = route
    self.summary = summary
    self.query = query
    self.body = body
    self.status = status
    self.answer = answer
  }
}

extension OperationDescription {
  static let all: [String: OperationDescription] = {
    let described =
      volumes + manageable + extensions + clients + snapshots + types + typeRules + transfers + operation
      + services + groups
      + compute + pumice
    return Dictionary(uniqueKeysWithValues: described.map { ($0.route, $0) })
  }()

  /// What the descriptions refer to by name.
  static let shared: [String: Schema] = [
    "error": .dictionary(.shown(["code": .integer(400...599), "message": .text(atMost: 65_536)])),
    "link": .shown(["rel": .text(), "href": .text(atMost: 8192)]),
    "volume": .shown([
      "id": .id, "status": .text(), "size": .integer(1...2_147_483_647), "availability_zone": .text().orNull(),
      "created_at": .text(), "updated_at": .text().orNull(), "name": .text().orNull(), "description": .text().orNull(),
      "volume_type": .text().orNull(), "snapshot_id": .id.orNull(), "source_volid": .id.orNull(), "metadata": .texts,
      "user_id": .text(), "bootable": .word(["true", "false"]), "encrypted": .flag, "multiattach": .flag,
      "attachments": .list(
        .shown(["id": .id, "attachment_id": .id, "volume_id": .id, "server_id": .anything, "device": .anything])),
      "links": links,
    ]),
    "snapshot": .shown([
      "id": .id, "status": .text(), "size": .integer(1...2_147_483_647), "volume_id": .id, "created_at": .text(),
      "updated_at": .text().orNull(), "name": .text().orNull(), "description": .text().orNull(), "metadata": .texts,
    ]),
    "reference": .shown(["id": .id, "name": .text().orNull(), "links": links]),
    "volume_type": .shown([
      "id": .id, "name": .text(), "description": .text().orNull(), "is_public": .flag,
      "os-volume-type-access:is_public": .flag, "extra_specs": .texts,
    ]),
    "attachment": .shown(["id": .id, "volume_id": .id, "status": .text(), "instance": .anything]),
    "message": .shown([
      "id": .id, "event_id": .text(), "user_message": .text(atMost: 65_536), "message_level": .text(),
      "resource_type": .text(), "resource_uuid": .id, "created_at": .text(), "guaranteed_until": .text(),
    ]),
    "server": .shown([
      "id": .id, "name": .text(), "status": .text(), "flavor": .shown([:]), "links": links, "hostId": .text(),
      "OS-EXT-STS:vm_state": .text(), "os-extended-volumes:volumes_attached": .list(.shown(["id": .id])),
    ]),
    "flavor": .shown(["id": .text(), "name": .text(), "links": links]),
    "volumeAttachment": .shown([
      "serverId": .id, "volumeId": .id, "device": .text().orNull(),
    ]),
    "node": .shown([
      "name": .text(), "state": .word(["up", "down"]), "enabled": .flag, "lost": .flag, "pools": .list(.shown([:])),
    ]),
  ]

  static let links = Schema.list(.shared("link"))
  /// What every list takes.
  static let paging: [String: Schema] = [
    "limit": .integer(0...1000), "offset": .integer(0...1000), "marker": .id,
  ]

  /// What lists take that can be sorted.
  static let sortedPaging = paging.merging([
    "sort": .pattern("^(id|created_at)(:(asc|desc))?$"), "sort_key": .word(["id", "created_at"]),
    "sort_dir": .word(["asc", "desc"]),
  ]) { one, _ in one }

  /// A page of a list: `{"volumes": […], "volumes_links": […]}`.
  static func page(_ collection: String, of element: Schema, links name: String? = nil) -> Schema {
    .object(
      [collection: .list(element)], optional: [name ?? "\(collection)_links": links, "count": .integer()])
  }
}
