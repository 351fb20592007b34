extension OperationDescription {
  static let transfers: [OperationDescription] =
    transfers(at: "os-volume-transfer", offer: [:]) + transfers(at: "volume-transfers", offer: ["no_snapshots": .flag])

  private static let members: [String: Schema] = [
    "id": .id, "volume_id": .id, "name": .text().orNull(), "links": links,
  ]

  private static func transfers(at path: String, offer: [String: Schema]) -> [OperationDescription] {
    let detail = Schema.shown(members.merging(["created_at": .text()]) { one, _ in one })
    let query = sortedPaging.merging(["all_tenants": .flag]) { one, _ in one }
    return [
      OperationDescription(
        "GET v3/\(path)", "List offers of volumes", query: query, 200, page("transfers", of: .shown(members))),
      OperationDescription(
        "GET v3/\(path)/detail", "List offers of volumes in full", query: query, 200, page("transfers", of: detail)),
      OperationDescription("GET v3/\(path)/{id}", "Show an offer of a volume", 200, .one("transfer", detail)),
      OperationDescription(
        "POST v3/\(path)", "Offer a volume to whoever gets the key",
        body: .one(
          "transfer",
          .object(
            ["volume_id": .id], optional: offer.merging(["name": .text().orNull()]) { one, _ in one })), 202,
        .one(
          "transfer",
          .shown(members.merging(["created_at": .text(), "auth_key": .text()]) { one, _ in one }))),
      OperationDescription(
        "POST v3/\(path)/{id}/accept", "Accept a volume that was offered",
        body: .one("accept", .one("auth_key", .either([.text(atLeast: 1), .integer()]))), 202,
        .one("transfer", .shown(members))),
      OperationDescription("DELETE v3/\(path)/{id}", "Take back the offer of a volume", 202),
    ]
  }
}
