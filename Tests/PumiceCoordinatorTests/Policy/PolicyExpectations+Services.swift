import PumiceModel

extension PolicyExpectation {
  /// What operators set, beside services' being on or off.
  static let services: [PolicyExpectation] = [
    .init("GET v3/default-types", .admin, 200), .init("GET v3/default-types/{project}", .admin, 200),
    .init("PUT v3/default-types/{project}", .admin, 200, body: #"{"default_type": {"volume_type": "__DEFAULT__"}}"#),
    .init("DELETE v3/default-types/{project}", .admin, 204),
    .init("PUT v3/os-quota-class-sets/{class}", .admin, 200, body: #"{"quota_class_set": {"volumes": 20}}"#),
    .init("PUT v3/os-services/freeze", .admin, 202, body: #"{"host": "n1@ssd"}"#),
    .init("PUT v3/os-services/thaw", .admin, 202, body: #"{"host": "n1@ssd"}"#),
    .init("PUT v3/os-services/failover_host", .admin, 400, body: #"{"host": "n1@ssd"}"#),
    .init("PUT v3/os-services/failover", .admin, 400, body: #"{"host": "n1@ssd"}"#),
    .init("PUT v3/os-services/get-log", .admin, 200, body: "{}"),
    .init("PUT v3/os-services/set-log", .admin, 202, body: #"{"level": "INFO"}"#),
    .init("POST v3/workers/cleanup", .admin, 202, body: "{}"),
    .init("PUT v3/workers/cleanup", .admin, 202, body: "{}"),
    // There is one backend, and none is called so.
    .init("GET v3/capabilities/{host}", .admin, 404),
    .init("GET v3/clusters", .admin, 200), .init("GET v3/clusters/detail", .admin, 200),
    .init("GET v3/clusters/{name}", .admin, 404),
    .init("PUT v3/clusters/enable", .admin, 404, body: #"{"name": "c"}"#),
    .init("PUT v3/clusters/disable", .admin, 404, body: #"{"name": "c"}"#),
  ]
}
