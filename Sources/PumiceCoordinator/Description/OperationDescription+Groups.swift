extension OperationDescription {
  private static let typeMembers: [String: Schema] = [
    "id": .id, "name": .text(), "description": .text().orNull(), "is_public": .flag,
  ]
  private static let groupType = Schema.one("group_type", .shown(typeMembers))
  private static let groupMembers: [String: Schema] = ["id": .id, "name": .text().orNull()]
  private static let groupDetail = Schema.shown(
    groupMembers.merging([
      "status": .text(), "availability_zone": .text().orNull(), "created_at": .text(), "description": .text().orNull(),
      "group_type": .id, "volume_types": .list(.id),
    ]) { one, _ in one })
  private static let snapshotDetail = Schema.shown(
    groupMembers.merging([
      "status": .text(), "created_at": .text(), "description": .text().orNull(), "group_type_id": .id, "group_id": .id,
    ]) { one, _ in one })
  private static let lists = paging.merging([
    "all_tenants": .flag, "sort": .pattern("^[a-z_]+(:(asc|desc))?$"), "sort_key": .text(),
    "sort_dir": .word(["asc", "desc"]), "with_count": .word(["true", "false"]), "name": .text(), "status": .text(),
  ]) { one, _ in one }
  private static let groupLists = lists.merging(["list_volume": .flag, "availability_zone": .text()]) { one, _ in one }
  private static let snapshotLists = lists.merging(["group_id": .id]) { one, _ in one }
  private static let volumeList = Schema.text(atMost: 16_384)

  static let groups: [OperationDescription] = groupTypes + volumeGroups + groupSnapshots

  private static let groupTypes: [OperationDescription] = [
    OperationDescription(
      "GET v3/group_types", "List group types",
      query: paging.merging(["is_public": .word(["true", "false", "none"])]) { one, _ in one }, 200,
      page("group_types", of: .shown(typeMembers), links: "group_type_links")),
    OperationDescription("GET v3/group_types/default", "Show the default group type, of which there is none", 404),
    OperationDescription("GET v3/group_types/{id}", "Show a group type", 200, groupType),
    OperationDescription(
      "POST v3/group_types", "Create a group type",
      body: .one(
        "group_type",
        .object(
          ["name": .text(atLeast: 1)],
          optional: ["description": .text().orNull(), "is_public": .flag, "group_specs": .texts])), 202, groupType),
    OperationDescription(
      "PUT v3/group_types/{id}", "Change a group type",
      body: .one(
        "group_type",
        .object([:], optional: ["name": .text(atLeast: 1), "description": .text(), "is_public": .flag])), 200, groupType
    ),
    OperationDescription("DELETE v3/group_types/{id}", "Delete a group type", 202),
    OperationDescription(
      "GET v3/group_types/{id}/group_specs", "Show group specs", 200, .one("group_specs", .texts)),
    OperationDescription(
      "POST v3/group_types/{id}/group_specs", "Set group specs", body: .one("group_specs", .texts), 202,
      .one("group_specs", .texts)),
    OperationDescription("GET v3/group_types/{id}/group_specs/{key}", "Show a group spec", 200, .texts),
    OperationDescription("PUT v3/group_types/{id}/group_specs/{key}", "Set a group spec", body: .texts, 200, .texts),
    OperationDescription("DELETE v3/group_types/{id}/group_specs/{key}", "Remove a group spec", 202),
  ]

  private static let volumeGroups: [OperationDescription] = [
    OperationDescription(
      "GET v3/groups", "List groups", query: groupLists, 200,
      page("groups", of: .shown(groupMembers), links: "group_links")),
    OperationDescription(
      "GET v3/groups/detail", "List groups in full", query: groupLists, 200,
      page("groups", of: groupDetail, links: "group_links")),
    OperationDescription(
      "GET v3/groups/{id}", "Show a group", query: ["list_volume": .flag], 200, .one("group", groupDetail)),
    OperationDescription(
      "POST v3/groups", "Create a group",
      body: .one(
        "group",
        .object(
          ["group_type": .text(atLeast: 1), "volume_types": .list(.text(atLeast: 1))],
          optional: [
            "name": .text().orNull(), "description": .text().orNull(), "availability_zone": .text().orNull(),
          ])), 202, .one("group", .shown(groupMembers))),
    OperationDescription(
      "PUT v3/groups/{id}", "Change a group, or which volumes are in it",
      body: .one(
        "group",
        .object(
          [:],
          optional: [
            "name": .text(), "description": .text(), "add_volumes": volumeList, "remove_volumes": volumeList,
          ])), 202),
    OperationDescription(
      "POST v3/groups/action", "Make a group from another one, or from a group snapshot",
      body: .one(
        "create-from-src",
        .object(
          [:],
          optional: [
            "group_snapshot_id": .id.orNull(), "source_group_id": .id.orNull(), "name": .text().orNull(),
            "description": .text().orNull(),
          ])), 202, .one("group", .shown(groupMembers))),
    OperationDescription(
      "POST v3/groups/{id}/action delete", "Delete a group, with its volumes if that is asked for",
      body: .one("delete", .object([:], optional: ["delete-volumes": .flag])), 202),
    OperationDescription(
      "POST v3/groups/{id}/action reset_status", "Set a group's status, which follows from its volumes",
      body: .one("reset_status", .one("status", .text(atLeast: 1))), 202),
  ]

  private static let groupSnapshots: [OperationDescription] = [
    OperationDescription(
      "GET v3/group_snapshots", "List group snapshots", query: snapshotLists, 200,
      page("group_snapshots", of: .shown(groupMembers))),
    OperationDescription(
      "GET v3/group_snapshots/detail", "List group snapshots in full", query: snapshotLists, 200,
      page("group_snapshots", of: snapshotDetail)),
    OperationDescription(
      "GET v3/group_snapshots/{id}", "Show a group snapshot", 200, .one("group_snapshot", snapshotDetail)),
    OperationDescription(
      "POST v3/group_snapshots", "Take a snapshot of every volume of a group",
      body: .one(
        "group_snapshot",
        .object(["group_id": .id], optional: ["name": .text().orNull(), "description": .text().orNull()])), 202,
      .one("group_snapshot", .shown(groupMembers))),
    OperationDescription("DELETE v3/group_snapshots/{id}", "Delete a group snapshot", 202),
    OperationDescription(
      "POST v3/group_snapshots/{id}/action reset_status", "Set a group snapshot's status, which follows from the nodes",
      body: .one("reset_status", .one("status", .text(atLeast: 1))), 202),
  ]
}
