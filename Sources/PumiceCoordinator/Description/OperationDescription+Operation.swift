extension OperationDescription {
  private static let type = Schema.one("volume_type", .shared("volume_type"))

  static let types: [OperationDescription] = [
    OperationDescription(
      "GET v3/types", "List volume types",
      query: paging.merging(["is_public": .word(["true", "false", "none"])]) { one, _ in one }, 200,
      page("volume_types", of: .shared("volume_type"), links: "volume_type_links")),
    OperationDescription("GET v3/types/default", "Show the default volume type", 200, type),
    OperationDescription("GET v3/types/{id}", "Show a volume type", 200, type),
    OperationDescription(
      "POST v3/types", "Create a volume type",
      body: .one(
        "volume_type",
        .object(
          ["name": .text(atLeast: 1)],
          optional: [
            "description": .text().orNull(), "os-volume-type-access:is_public": .flag, "extra_specs": .texts,
          ])), 200, type),
    OperationDescription(
      "PUT v3/types/{id}", "Change a volume type",
      body: .one(
        "volume_type", .object([:], optional: ["name": .text(), "description": .text(), "is_public": .flag])), 200, type
    ),
    OperationDescription("DELETE v3/types/{id}", "Delete a volume type", 202),
    OperationDescription("GET v3/types/{id}/extra_specs", "Show extra specs", 200, .one("extra_specs", .texts)),
    OperationDescription(
      "POST v3/types/{id}/extra_specs", "Set extra specs", body: .one("extra_specs", .texts), 200,
      .one("extra_specs", .texts)),
    OperationDescription("GET v3/types/{id}/extra_specs/{key}", "Show an extra spec", 200, .texts),
    OperationDescription("PUT v3/types/{id}/extra_specs/{key}", "Set an extra spec", body: .texts, 200, .texts),
    OperationDescription("DELETE v3/types/{id}/extra_specs/{key}", "Remove an extra spec", 202),
    OperationDescription(
      "GET v3/types/{id}/os-volume-type-access", "List the projects that may use a private volume type", 200,
      .one("volume_type_access", .list(.object(["volume_type_id": .id, "project_id": .text()])))),
    OperationDescription(
      "POST v3/types/{id}/action", "Open a private volume type to a project, or close it",
      body: .either([
        .one("addProjectAccess", .one("project", .text(atLeast: 1))),
        .one("removeProjectAccess", .one("project", .text(atLeast: 1))),
      ]), 202),
  ]

  static let operation: [OperationDescription] = [
    OperationDescription(
      "GET v3/os-quota-sets/{project}", "Show a project's quota", query: ["usage": .flag], 200,
      .one("quota_set", .shown(["id": .text()]))),
    OperationDescription(
      "GET v3/os-quota-sets/{project}/defaults", "Show what a project's quota is by default", 200,
      .one("quota_set", .shown(["id": .text()]))),
    OperationDescription(
      "PUT v3/os-quota-sets/{project}", "Set a project's quota",
      body: .one(
        "quota_set",
        .object(
          [:],
          optional: Dictionary(
            uniqueKeysWithValues: ["volumes", "snapshots", "gigabytes", "per_volume_gigabytes", "backups"].map {
              ($0, .integer(-1...2_147_483_647))
            }))), 200, .one("quota_set", .dictionary(.integer()))),
    OperationDescription("DELETE v3/os-quota-sets/{project}", "Set a project's quota back to the defaults"),
    OperationDescription(
      "GET v3/os-quota-class-sets/{class}", "Show the default quota", 200,
      .one("quota_class_set", .shown(["id": .text(atMost: 65_536)]))),
    OperationDescription(
      "GET v3/limits", "Show what the project may have and has", query: ["project_id": .text()], 200,
      .one("limits", .object(["rate": .list(.anything), "absolute": .dictionary(.integer())]))),
    OperationDescription(
      "GET v3/os-services", "List services", query: ["host": .text(), "binary": .text()], 200,
      .one(
        "services",
        .list(
          .shown([
            "binary": .text(), "host": .text(), "zone": .text(), "status": .word(["enabled", "disabled"]),
            "state": .word(["up", "down"]),
          ])))),
    OperationDescription(
      "GET v3/os-hosts", "List services by host", query: ["zone": .text()], 200,
      .one(
        "hosts",
        .list(
          .object([
            "host_name": .text(), "service": .text(), "zone": .text(), "last-update": .text().orNull(),
            "service-status": .word(["available", "unavailable"]), "service-state": .word(["enabled", "disabled"]),
          ])))),
    OperationDescription(
      "GET v3/os-hosts/{name}", "Count what lies on a host", 200,
      .one("host", .list(.one("resource", .shown(["host": .text(atMost: 65_536), "project": .text()]))))),
    OperationDescription(
      "PUT v3/os-hosts/{name}", "Have a host get volumes, or get none",
      body: .one("status", .word(["enable", "disable"])), 200,
      .object(["host": .text(atMost: 65_536), "status": .word(["enabled", "disabled"])])),
    service("enable", "Have a node get volumes again"), service("disable", "Have a node get no volumes"),
    service("disable-log-reason", "Have a node get no volumes, and say why", isReasonRequired: true),
    OperationDescription(
      "GET v3/os-availability-zone", "List availability zones", 200,
      .one(
        "availabilityZoneInfo", .list(.object(["zoneName": .text(), "zoneState": .one("available", .flag)])))),
    OperationDescription(
      "GET v3/scheduler-stats/get_pools", "List pools",
      query: ["detail": .flag, "name": .text(), "volume_type": .text()], 200,
      .one("pools", .list(.object(["name": .text()], optional: ["capabilities": .dictionary(.anything)])))),
    OperationDescription(
      "GET v3/resource_filters", "List what lists can be narrowed by", query: ["resource": .text()], 200,
      .one("resource_filters", .list(.object(["resource": .text(), "filters": .list(.text())])))),
  ]

  private static func service(
    _ verb: String, _ summary: String, isReasonRequired: Bool = false
  ) -> OperationDescription {
    let facts: [String: Schema] = ["host": .text(atLeast: 1), "binary": .text()]
    return OperationDescription(
      "PUT v3/os-services/\(verb)", summary,
      body: isReasonRequired
        ? .object(facts.merging(["disabled_reason": .text(atLeast: 1)]) { one, _ in one }) : .object(facts), 200,
      .shown(["host": .text(), "binary": .text(), "status": .word(["enabled", "disabled"])]))
  }

  static let pumice: [OperationDescription] = [
    OperationDescription("GET pumice/v1/nodes", "List nodes", 200, .one("nodes", .list(.shared("node")))),
    OperationDescription("GET pumice/v1/nodes/{name}", "Show a node", 200, .one("node", .shared("node"))),
    OperationDescription(
      "PUT pumice/v1/nodes/{name}", "Switch a node on or off, or declare it lost",
      body: .object([:], optional: ["enabled": .flag, "disabled_reason": .text(), "lost": .flag]), 200,
      .one("node", .shared("node"))),
    OperationDescription(
      "GET pumice/v1/volumes/{id}/explain", "Say where a volume is, what is being done about it and what went wrong",
      200,
      .shown(["volume": .shown(["id": .id]), "attachments": .list(.shown([:])), "messages": .list(.shown([:]))])),
    OperationDescription(
      "GET pumice/v1/snapshots/{id}/explain",
      "Say where a snapshot is, what is being done about it and what went wrong", 200,
      .shown(["snapshot": .shown(["id": .id]), "messages": .list(.shown([:]))])),
    OperationDescription(
      "GET pumice/v1/doctor", "Compare what should be with what is", 200,
      .one("findings", .list(.shown(["kind": .text(), "node": .text(), "resource": .text()])))),
  ]
}
