extension OperationDescription {
  private static let servers = paging.merging([
    "name": .text(), "status": .word(["ACTIVE", "SHUTOFF", "PAUSED"]), "host": .text(), "all_tenants": .flag,
    "deleted": .flag, "locked": .flag, "flavor": .text(),
    "sort_key": .word(["display_name", "uuid", "created_at", "vm_state"]), "sort_dir": .word(["asc", "desc"]),
  ]) { one, _ in one }
  private static let flavors = paging.merging(["minRam": .integer(0...1024), "minDisk": .integer(0...1)]) { one, _ in
    one
  }
  private static let attachment = Schema.one("volumeAttachment", .shared("volumeAttachment"))
  private static let attachments = "compute/v2.1/servers/{server}/os-volume_attachments"
  private static let device = Schema.pattern("^/dev/vd[a-z]$").orNull()
  private static let tag = Schema.pattern("^[^,/\\s\\x00-\\x1f\\x7f-\\x9f]{1,60}$")

  static let compute: [OperationDescription] = [
    OperationDescription(
      "GET compute/v2.1/servers", "List servers", query: servers, 200,
      page("servers", of: .shown(["id": .id, "name": .text(), "links": links]))),
    OperationDescription(
      "GET compute/v2.1/servers/detail", "List servers in full", query: servers, 200,
      page("servers", of: .shared("server"))),
    OperationDescription(
      "GET compute/v2.1/servers/{server}", "Show a server", 200, .one("server", .shared("server"))),
    OperationDescription(
      "GET \(attachments)", "List the volumes of a server",
      query: ["limit": .integer(0...1000), "offset": .integer(0...1000)], 200,
      .one("volumeAttachments", .list(.shared("volumeAttachment")))),
    OperationDescription("GET \(attachments)/{volume}", "Show a volume of a server", 200, attachment),
    OperationDescription(
      "POST \(attachments)", "Attach a volume to a server",
      body: .one(
        "volumeAttachment",
        .object(["volumeId": .id], optional: ["device": device, "tag": tag, "delete_on_termination": .flag])), 200,
      attachment),
    OperationDescription(
      "PUT \(attachments)/{volume}", "Change whether a volume is to go with its server",
      body: .one(
        "volumeAttachment",
        .object(
          ["volumeId": .id],
          optional: [
            "device": device, "tag": tag, "delete_on_termination": .flag, "serverId": .id, "id": .id,
          ])), 202),
    OperationDescription("DELETE \(attachments)/{volume}", "Detach a volume from a server", 202),
    OperationDescription(
      "GET compute/v2.1/flavors", "List flavors", query: flavors, 200, page("flavors", of: .shared("flavor"))),
    OperationDescription(
      "GET compute/v2.1/flavors/detail", "List flavors in full", query: flavors, 200,
      page("flavors", of: .shared("flavor"))),
    OperationDescription("GET compute/v2.1/flavors/{id}", "Show a flavor", 200, .one("flavor", .shared("flavor"))),
    OperationDescription(
      "GET compute/v2.1/flavors/{id}/os-extra_specs", "Show what more there is to a flavor", 200,
      .one("extra_specs", .dictionary(.text()))),
    OperationDescription(
      "GET compute/v2.1/flavors/{id}/os-extra_specs/{key}", "Show one thing more of a flavor", 200,
      .dictionary(.text())),
    OperationDescription(
      "GET compute/v2.1/limits", "Show what servers there are", query: ["tenant_id": .text(), "reserved": .flag], 200,
      .one("limits", .object(["rate": .list(.anything), "absolute": .dictionary(.integer())]))),
    zones("GET compute/v2.1/os-availability-zone", "List availability zones"),
    zones("GET compute/v2.1/os-availability-zone/detail", "List availability zones and their hosts"),
    OperationDescription(
      "POST compute/v2.1/os-server-external-events", "Tell what happened to what servers use",
      body: .one(
        "events",
        .list(
          .object(
            [
              "name": .word([
                "network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted",
                "volume-extended", "power-update", "accelerator-request-bound",
              ]), "server_uuid": .id,
            ], optional: ["status": .word(["failed", "completed", "in-progress"]), "tag": .text()]))), 200,
      .one("events", .list(.shown(["name": .text(), "server_uuid": .id, "code": .integer(), "status": .text()])))),
  ]

  private static func zones(_ route: String, _ summary: String) -> OperationDescription {
    OperationDescription(
      route, summary, 200,
      .one(
        "availabilityZoneInfo",
        .list(
          .object([
            "zoneName": .text(), "zoneState": .one("available", .flag), "hosts": .dictionary(.anything).orNull(),
          ]))))
  }
}
