extension OperationDescription {
  private static let attachmentLists = sortedPaging.merging([
    "volume_id": .id, "instance_id": .id, "status": .text(), "all_tenants": .flag,
  ]) { one, _ in one }
  private static let mode = Schema.word(["rw", "ro"]).orNull()
  /// As os-brick says it; the other members are for other protocols than iSCSI.
  private static let connector = Schema.object(
    ["initiator": .text(atLeast: 5, atMost: 223)],
    optional: ["host": .text(), "mountpoint": .text().orNull(), "mode": mode], rest: .anything)
  private static let attachment = Schema.one("attachment", .shared("attachment"))

  static let extensions: [OperationDescription] = [
    OperationDescription(
      "GET v3/extensions", "List what there is", 200, .one("extensions", .list(.shown(["alias": .text()])))),
    OperationDescription(
      "GET v3/extensions/{alias}", "Show what there is", 200, .one("extension", .shown(["alias": .text()]))),
  ]

  /// Attachments, and volumes for those who connect to them by themselves.
  static let clients: [OperationDescription] =
    [
      OperationDescription(
        "GET v3/attachments", "List attachments", query: attachmentLists, 200,
        page("attachments", of: .shared("attachment"))),
      OperationDescription(
        "GET v3/attachments/detail", "List attachments in full", query: attachmentLists, 200,
        page("attachments", of: .shared("attachment"))),
      OperationDescription("GET v3/attachments/{id}", "Show an attachment", 200, attachment),
      OperationDescription(
        "POST v3/attachments", "Reserve a volume, and connect to it if a connector is given",
        body: .one(
          "attachment",
          .object(
            ["volume_uuid": .id],
            optional: ["instance_uuid": .id.orNull(), "connector": connector.orNull(), "mode": mode])), 200, attachment),
      OperationDescription(
        "PUT v3/attachments/{id}", "Connect to a reserved volume",
        body: .one("attachment", .object(["connector": connector], optional: ["mode": mode])), 200, attachment),
      OperationDescription(
        "POST v3/attachments/{id}/action os-complete", "Say that the volume is there",
        body: .one("os-complete", .anything), 204),
      OperationDescription(
        "DELETE v3/attachments/{id}", "Let a volume go", 200, .one("attachments", .list(.shared("attachment")))),
    ]
    + [
      action("os-update_readonly_flag", "Make a volume read-only, or not", .object(["readonly": .flag])),
      action(
        "os-retype", "Give a volume another type",
        .object(
          ["new_type": .text(atLeast: 1)], optional: ["migration_policy": .word(["never", "on-demand"]).orNull()])),
      action("os-unmanage", "Take a volume out of the store, and leave it where it is", .object([:]).orNull()),
      action("os-reserve", "Reserve a volume", .object([:]).orNull()),
      action("os-unreserve", "Take a reservation back", .object([:]).orNull()),
      action(
        "os-attach", "Say that a volume is there",
        .object(
          ["mountpoint": .text(atLeast: 1)],
          optional: ["instance_uuid": .id.orNull(), "host_name": .text().orNull(), "mode": mode])),
      action("os-begin_detaching", "Say that a volume is about to go", .object([:]).orNull()),
      action("os-roll_detaching", "Say that a volume stays after all", .object([:]).orNull()),
      OperationDescription(
        "POST v3/volumes/{id}/action os-initialize_connection", "Connect to a volume",
        body: .one("os-initialize_connection", .object(["connector": connector])), 200,
        .one("connection_info", .shown(["driver_volume_type": .word(["iscsi"]), "data": .shown([:])]))),
      action("os-terminate_connection", "End a connection to a volume", .object(["connector": connector])),
      action("os-detach", "Let a volume go", .object([:], optional: ["attachment_id": .id.orNull()])),
      action(
        "os-force_detach", "Take a volume away",
        .object([:], optional: ["attachment_id": .id.orNull(), "connector": connector.orNull()])),
    ]

  private static func action(_ name: String, _ summary: String, _ body: Schema) -> OperationDescription {
    OperationDescription("POST v3/volumes/{id}/action \(name)", summary, body: .one(name, body), 202)
  }
}
