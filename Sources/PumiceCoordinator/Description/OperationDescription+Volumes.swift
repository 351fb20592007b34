extension OperationDescription {
  private static let size = Schema.integer(VolumeOrder.sizes)
  private static let name = Schema.text().orNull()
  private static let names = [
    "name": name, "description": name, "display_name": name, "display_description": name,
  ]
  private static let sorting: [String: Schema] = [
    "sort": .pattern("^[a-z_]+(:(asc|desc))?$"), "sort_key": .text(), "sort_dir": .word(["asc", "desc"]),
    "all_tenants": .word(["0", "1"]), "with_count": .word(["true", "false"]), "name": .text(), "status": .text(),
    "project_id": .text(), "metadata": .pattern("^\\{\"[a-z]\": \"[a-z]\"\\}$"),
  ]
  private static let listing = paging.merging(sorting) { one, _ in one }

  static let volumes: [OperationDescription] =
    [
      OperationDescription(
        "GET v3/volumes", "List volumes", query: listing, 200, page("volumes", of: .shared("reference"))),
      OperationDescription(
        "GET v3/volumes/detail", "List volumes in full",
        query: listing.merging([
          "size": .integer(1...100), "bootable": .flag, "multiattach": .flag, "encrypted": .flag,
          "availability_zone": .text(), "volume_type": .text(), "created_at": .text(), "updated_at": .text(),
        ]) { one, _ in one }, 200, page("volumes", of: .shared("volume"))),
      OperationDescription(
        "GET v3/volumes/summary", "Count volumes", query: ["all_tenants": .word(["0", "1"])], 200,
        .one("volume-summary", .shown(["total_count": .integer(), "total_size": .integer()]))),
      OperationDescription(
        "POST v3/volumes", "Create a volume",
        body: .object(
          [
            "volume": .object(
              [:],
              optional: names.merging([
                "size": size, "volume_type": name, "metadata": .texts, "snapshot_id": .id.orNull(),
                "source_volid": .id.orNull(), "availability_zone": name, "multiattach": .flag,
                "imageRef": .id.orNull(), "backup_id": .id.orNull(), "consistencygroup_id": .id.orNull(),
                "group_id": .id.orNull(),
              ]) { one, _ in one })
          ],
          optional: [
            "OS-SCH-HNT:scheduler_hints": .object(
              [:],
              optional: [
                "same_host": .either([.id, .list(.id)]), "different_host": .either([.id, .list(.id)]),
                "local_to_instance": .id,
              ])
          ]), 202, .one("volume", .shared("volume"))),
      OperationDescription("GET v3/volumes/{id}", "Show a volume", 200, .one("volume", .shared("volume"))),
      OperationDescription(
        "PUT v3/volumes/{id}", "Change a volume's name, description or metadata",
        body: .one("volume", .object([:], optional: names.merging(["metadata": .texts]) { one, _ in one })), 200,
        .one("volume", .shared("volume"))),
      OperationDescription(
        "DELETE v3/volumes/{id}", "Delete a volume", query: ["cascade": .flag, "force": .flag], 202),
      OperationDescription(
        "POST v3/volumes/{id}/action os-extend", "Make a volume larger",
        body: .one("os-extend", .one("new_size", size)), 202),
      OperationDescription(
        "POST v3/volumes/{id}/action os-reset_status", "Set a volume's status",
        body: .one("os-reset_status", .object(["status": .text(atLeast: 1)])), 202),
      OperationDescription(
        "POST v3/volumes/{id}/action os-force_delete", "Delete a volume", body: .one("os-force_delete", .object([:])),
        202),
      OperationDescription(
        "POST v3/volumes/{id}/action revert", "Give a volume the content of its latest snapshot",
        body: .one("revert", .one("snapshot_id", .id)), 202),
      OperationDescription(
        "POST v3/volumes/{id}/action os-set_bootable", "Note whether a volume can be booted from",
        body: .one("os-set_bootable", .one("bootable", .flag))),
      OperationDescription(
        "POST v3/volumes/{id}/action os-set_image_metadata", "Note something of a volume's image",
        body: .one("os-set_image_metadata", .one("metadata", .texts)), 200, .one("metadata", .texts)),
      OperationDescription(
        "POST v3/volumes/{id}/action os-unset_image_metadata", "Forget something of a volume's image",
        body: .one("os-unset_image_metadata", .one("key", .text(atLeast: 1)))),
      OperationDescription(
        "POST v3/volumes/{id}/action os-show_image_metadata", "Show what is noted of a volume's image",
        body: .one("os-show_image_metadata", .object([:]).orNull()), 200, .one("metadata", .texts)),
      OperationDescription(
        "GET v3/messages", "List messages",
        query: sortedPaging.merging([
          "resource_uuid": .id, "resource_type": .text(), "message_level": .text(), "request_id": .text(),
          "event_id": .text(),
        ]) { one, _ in one }, 200, page("messages", of: .shared("message"))),
      OperationDescription("GET v3/messages/{id}", "Show a message", 200, .one("message", .shared("message"))),
      OperationDescription("DELETE v3/messages/{id}", "Delete a message", 204),
    ] + metadata(of: "volumes", "volume")

  static let snapshots: [OperationDescription] =
    [
      OperationDescription(
        "GET v3/snapshots", "List snapshots", query: listing, 200, page("snapshots", of: .shared("snapshot"))),
      OperationDescription(
        "GET v3/snapshots/detail", "List snapshots in full",
        query: listing.merging(["volume_id": .id]) { one, _ in one }, 200, page("snapshots", of: .shared("snapshot"))),
      OperationDescription(
        "POST v3/snapshots", "Take a snapshot of a volume",
        body: .one(
          "snapshot",
          .object(
            ["volume_id": .id], optional: names.merging(["force": .flag, "metadata": .texts]) { one, _ in one })), 202,
        .one("snapshot", .shared("snapshot"))),
      OperationDescription("GET v3/snapshots/{id}", "Show a snapshot", 200, .one("snapshot", .shared("snapshot"))),
      OperationDescription(
        "PUT v3/snapshots/{id}", "Change a snapshot's name or description",
        body: .one("snapshot", .object([:], optional: names)), 200, .one("snapshot", .shared("snapshot"))),
      OperationDescription("DELETE v3/snapshots/{id}", "Delete a snapshot", 202),
      OperationDescription(
        "POST v3/snapshots/{id}/action os-reset_status", "Set a snapshot's status",
        body: .one("os-reset_status", .one("status", .text(atLeast: 1))), 202),
      OperationDescription(
        "POST v3/snapshots/{id}/action os-force_delete", "Delete a snapshot",
        body: .one("os-force_delete", .object([:])), 202),
      OperationDescription(
        "POST v3/snapshots/{id}/action os-unmanage", "Leave a snapshot to itself",
        body: .one("os-unmanage", .object([:]).orNull()), 202),
    ] + metadata(of: "snapshots", "snapshot")

  private static func metadata(of collection: String, _ one: String) -> [OperationDescription] {
    let (all, key) = ("v3/\(collection)/{id}/metadata", "v3/\(collection)/{id}/metadata/{key}")
    let entries = Schema.one("metadata", .texts)
    let entry = Schema.one("meta", .texts)
    return [
      OperationDescription("GET \(all)", "Show the metadata of a \(one)", 200, entries),
      OperationDescription("POST \(all)", "Add to the metadata of a \(one)", body: entries, 200, entries),
      OperationDescription("PUT \(all)", "Replace the metadata of a \(one)", body: entries, 200, entries),
      OperationDescription("GET \(key)", "Show one entry of the metadata of a \(one)", 200, entry),
      OperationDescription("PUT \(key)", "Set one entry of the metadata of a \(one)", body: entry, 200, entry),
      OperationDescription("DELETE \(key)", "Remove one entry of the metadata of a \(one)", 200),
    ]
  }
}
