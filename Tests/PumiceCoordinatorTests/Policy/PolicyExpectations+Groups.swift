import PumiceModel

extension PolicyExpectation {
  static let groups: [PolicyExpectation] = [
    .init("GET v3/group_types", .reader, 200), .init("GET v3/group_types/{id}", .reader, 200),
    .init("GET v3/group_types/default", .reader, 404),
    .init("POST v3/group_types", .admin, 202, body: #"{"group_type": {"name": "new"}}"#),
    .init("PUT v3/group_types/{id}", .admin, 200, body: #"{"group_type": {"name": "new"}}"#),
    // A group is of it.
    .init("DELETE v3/group_types/{id}", .admin, 400),
    .init("GET v3/group_types/{id}/group_specs", .admin, 200),
    .init("POST v3/group_types/{id}/group_specs", .admin, 202, body: #"{"group_specs": {"a": "b"}}"#),
    .init("GET v3/group_types/{id}/group_specs/{key}", .admin, 200),
    .init("PUT v3/group_types/{id}/group_specs/{key}", .admin, 200, body: #"{"key": "b"}"#),
    .init("DELETE v3/group_types/{id}/group_specs/{key}", .admin, 202),

    .init("GET v3/groups", .reader, 200), .init("GET v3/groups/detail", .reader, 200),
    .own("GET v3/groups/{id}", .reader, 200, query: "?list_volume=true"),
    .init(
      "POST v3/groups", .member, 202,
      body: #"{"group": {"group_type": "GROUP-TYPE", "volume_types": ["__DEFAULT__"]}}"#),
    .own("PUT v3/groups/{id}", .member, 202, body: #"{"group": {"name": "n"}}"#),
    .own("POST v3/groups/action", .member, 202, body: #"{"create-from-src": {"source_group_id": "GROUP"}}"#),
    // It has a group snapshot.
    .own("POST v3/groups/{id}/action delete", .member, 400, body: #"{"delete": {"delete-volumes": true}}"#),
    .own("POST v3/groups/{id}/action reset_status", .admin, 202, body: #"{"reset_status": {"status": "available"}}"#),

    .init("GET v3/group_snapshots", .reader, 200), .init("GET v3/group_snapshots/detail", .reader, 200),
    .own("GET v3/group_snapshots/{id}", .reader, 200),
    .own("POST v3/group_snapshots", .member, 202, body: #"{"group_snapshot": {"group_id": "GROUP"}}"#),
    .own("DELETE v3/group_snapshots/{id}", .member, 202),
    .own(
      "POST v3/group_snapshots/{id}/action reset_status", .admin, 202,
      body: #"{"reset_status": {"status": "available"}}"#),
  ]
}
