extension OperationDescription {
  private static let defaultType = Schema.object(["project_id": .text(), "volume_type_id": .id])
  private static let host = Schema.one("host", .text(atLeast: 1))
  private static let log: [String: Schema] = [
    "binary": .word(["", "*", "cinder-api", "cinder-scheduler", "cinder-volume", "cinder-backup"]).orNull(),
    "server": .text().orNull(), "prefix": .text().orNull(),
  ]

  private static let failover = Schema.object(
    ["host": .text(atLeast: 1)], optional: ["backend_id": .text().orNull()])

  /// What operators set, beside services' being on or off.
  static let services: [OperationDescription] = [
    OperationDescription(
      "GET v3/default-types", "List the projects with a default type of their own", 200,
      .one("default_types", .list(defaultType))),
    OperationDescription(
      "GET v3/default-types/{project}", "Show a project's own default type", 200, .one("default_type", defaultType)),
    OperationDescription(
      "PUT v3/default-types/{project}", "Set a project's own default type",
      body: .one("default_type", .one("volume_type", .text(atLeast: 1))), 200, .one("default_type", defaultType)),
    OperationDescription("DELETE v3/default-types/{project}", "Unset a project's own default type", 204),
    OperationDescription(
      "PUT v3/os-quota-class-sets/{class}", "Set the default quota",
      body: .one(
        "quota_class_set",
        .object(
          [:],
          optional: Dictionary(
            uniqueKeysWithValues: ["volumes", "snapshots", "gigabytes", "per_volume_gigabytes", "backups"].map {
              ($0, .integer(-1...2_147_483_647))
            }))), 200, .one("quota_class_set", .dictionary(.integer()))),
    OperationDescription(
      "PUT v3/os-services/freeze", "Leave everything on a node as it is", body: host, 202),
    OperationDescription("PUT v3/os-services/thaw", "Take back a freeze", body: host, 202),
    OperationDescription(
      "PUT v3/os-services/get-log", "Show what services log", body: .object([:], optional: log), 200,
      .one(
        "log_levels", .list(.object(["binary": .text(), "host": .text(), "levels": .texts])))),
    OperationDescription(
      "PUT v3/os-services/failover_host", "Have a replicated backend fail over, of which there is none", body: failover,
      400),
    OperationDescription(
      "PUT v3/os-services/failover", "Have a replicated backend fail over, of which there is none", body: failover, 400),
    OperationDescription(
      "PUT v3/os-services/set-log", "Set what services log",
      body: .object(["level": .word(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])], optional: log), 202),
    cleanup("POST"), cleanup("PUT"),
    OperationDescription(
      "GET v3/capabilities/{host}", "Show what volume types can ask of a backend", 200,
      .shown(["namespace": .text(), "volume_backend_name": .text(), "properties": .dictionary(.shown([:]))])),
    OperationDescription("GET v3/clusters", "List clusters, of which there are none", 200, clusters),
    OperationDescription("GET v3/clusters/detail", "List clusters in full, of which there are none", 200, clusters),
    OperationDescription("GET v3/clusters/{name}", "Show a cluster, of which there are none", 404),
    OperationDescription(
      "PUT v3/clusters/enable", "Switch a cluster on, of which there are none", body: .one("name", .text(atLeast: 1)),
      404),
    OperationDescription(
      "PUT v3/clusters/disable", "Switch a cluster off, of which there are none",
      body: .object(["name": .text(atLeast: 1)], optional: ["disabled_reason": .text()]), 404),
  ]

  private static let clusters = Schema.one("clusters", .list(.anything))

  private static func cleanup(_ method: String) -> OperationDescription {
    OperationDescription(
      "\(method) v3/workers/cleanup", "Clean up after interrupted work, of which there is none",
      body: .object(
        [:],
        optional: [
          "cluster_name": .text().orNull(), "host": .text().orNull(), "binary": .text().orNull(), "is_up": .flag,
          "disabled": .flag, "resource_id": .id.orNull(), "resource_type": .word(["Volume", "Snapshot"]),
          "service_id": .integer(0...2_147_483_647).orNull(),
        ]), 202, .object(["cleaning": .list(.anything), "unavailable": .list(.anything)]))
  }
}
