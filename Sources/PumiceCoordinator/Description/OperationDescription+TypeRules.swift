extension OperationDescription {
  private static let spec = Schema.shown([
    "qos_specs": .shown(["id": .id, "name": .text(), "consumer": consumer, "specs": .texts]), "links": links,
  ])
  private static let consumer = Schema.word(["front-end", "back-end", "both"])
  private static let rule = Schema.either([.text(), .integer()])
  private static let encryption: [String: Schema] = [
    "provider": .text(), "control_location": .word(["front-end", "back-end"]), "cipher": .text().orNull(),
    "key_size": .integer(1...2_147_483_647).orNull(),
  ]

  /// What types say of service and of encryption.
  static let typeRules: [OperationDescription] = [
    OperationDescription(
      "GET v3/qos-specs", "List QoS specs", query: paging, 200,
      page("qos_specs", of: .shown(["id": .id, "name": .text(), "consumer": consumer, "specs": .texts]))),
    OperationDescription("GET v3/qos-specs/{id}", "Show a QoS spec", 200, spec),
    OperationDescription(
      "POST v3/qos-specs", "Create a QoS spec",
      body: .one("qos_specs", .object(["name": .text(atLeast: 1)], optional: ["consumer": consumer], rest: rule)), 200,
      spec),
    OperationDescription(
      "PUT v3/qos-specs/{id}", "Set entries of a QoS spec",
      body: .one("qos_specs", .object([:], optional: ["consumer": consumer], rest: rule)), 200,
      .one("qos_specs", .texts)),
    OperationDescription(
      "PUT v3/qos-specs/{id}/delete_keys", "Remove entries of a QoS spec",
      body: .one("keys", .list(.text(atLeast: 1))), 202),
    OperationDescription("DELETE v3/qos-specs/{id}", "Delete a QoS spec", query: ["force": .flag], 202),
    OperationDescription(
      "GET v3/qos-specs/{id}/associations", "List the volume types with a QoS spec", 200,
      .one("qos_associations", .list(.shown(["association_type": .text(), "id": .id, "name": .text()])))),
    OperationDescription(
      "GET v3/qos-specs/{id}/associate", "Give a QoS spec to a volume type", query: ["vol_type_id": .id], 202),
    OperationDescription(
      "GET v3/qos-specs/{id}/disassociate", "Take a QoS spec from a volume type", query: ["vol_type_id": .id], 202),
    OperationDescription(
      "GET v3/qos-specs/{id}/disassociate_all", "Take a QoS spec from all volume types", 202),
    OperationDescription(
      "GET v3/types/{id}/encryption", "Show how volumes of a type are to be encrypted", 200, .shown([:])),
    OperationDescription(
      "GET v3/types/{id}/encryption/{encryption}", "Show one entry of how volumes of a type are to be encrypted", 200,
      .dictionary(.anything)),
    OperationDescription(
      "POST v3/types/{id}/encryption", "Say how volumes of a type are to be encrypted",
      body: .one(
        "encryption",
        .object(
          encryption.filter { ["provider", "control_location"].contains($0.key) },
          optional: encryption.filter { ["cipher", "key_size"].contains($0.key) })), 200,
      .one("encryption", .shown(["encryption_id": .id, "volume_type_id": .id]))),
    OperationDescription(
      "PUT v3/types/{id}/encryption/{encryption}", "Change how volumes of a type are to be encrypted",
      body: .one("encryption", .object([:], optional: encryption)), 200, .one("encryption", .shown([:]))),
    OperationDescription(
      "DELETE v3/types/{id}/encryption/{encryption}", "Say no more how volumes of a type are to be encrypted", 202),
    OperationDescription(
      "GET v3/volumes/{id}/encryption", "Show how a volume is encrypted", 200, .dictionary(.anything)),
  ]
}
