import PumiceModel

extension PolicyExpectation {
  /// What types say of service and of encryption.
  static let typeRules: [PolicyExpectation] = [
    .init("GET v3/qos-specs", .admin, 200), .init("GET v3/qos-specs/{id}", .admin, 200),
    .init("POST v3/qos-specs", .admin, 200, body: #"{"qos_specs": {"name": "fast"}}"#),
    .init("PUT v3/qos-specs/{id}", .admin, 200, body: #"{"qos_specs": {"a": "b"}}"#),
    .init("PUT v3/qos-specs/{id}/delete_keys", .admin, 202, body: #"{"keys": ["key"]}"#),
    .init("DELETE v3/qos-specs/{id}", .admin, 202),
    .init("GET v3/qos-specs/{id}/associations", .admin, 200),
    .own("GET v3/qos-specs/{id}/associate", .admin, 202, query: "?vol_type_id=TYPE"),
    .own("GET v3/qos-specs/{id}/disassociate", .admin, 202, query: "?vol_type_id=TYPE"),
    .init("GET v3/qos-specs/{id}/disassociate_all", .admin, 202),
    .own("GET v3/types/{id}/encryption", .admin, 200),
    // It is named by one of its members here, and by its id below.
    .own("GET v3/types/{id}/encryption/{encryption}", .admin, 404),
    // The type has one already.
    .own(
      "POST v3/types/{id}/encryption", .admin, 400,
      body: #"{"encryption": {"provider": "luks", "control_location": "front-end"}}"#),
    .own("PUT v3/types/{id}/encryption/{encryption}", .admin, 200, body: #"{"encryption": {"key_size": 512}}"#),
    .own("DELETE v3/types/{id}/encryption/{encryption}", .admin, 202),
    .own("GET v3/volumes/{id}/encryption", .reader, 200),
  ]
}
