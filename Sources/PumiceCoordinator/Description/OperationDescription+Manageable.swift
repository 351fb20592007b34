/// Of what is on a node and not in the store.
extension OperationDescription {
  private static let manageable = Schema.shown(["reference": .texts, "size": .integer(), "safe_to_manage": .flag])

  static let manageableVolumes = manageable("manageable_volumes") + manageable("os-volume-manage")

  private static func manageable(_ path: String) -> [OperationDescription] {
    let query = paging.merging(["host": .text()]) { one, _ in one }
    let order = Schema.object(
      ["host": .text(atLeast: 1), "ref": .object([:], optional: ["source-name": .text(), "source-id": .text()])],
      optional: [
        "name": .text().orNull(), "description": .text().orNull(), "volume_type": .text().orNull(),
        "availability_zone": .text().orNull(), "metadata": .texts, "bootable": .flag,
      ])
    let list = page("manageable-volumes", of: manageable)
    return [
      OperationDescription("GET v3/\(path)", "List volumes of a node", query: query, 200, list),
      OperationDescription("GET v3/\(path)/detail", "List volumes of a node in full", query: query, 200, list),
      OperationDescription(
        "POST v3/\(path)", "Take a volume into the store", body: .one("volume", order), 202,
        .one("volume", .shared("volume"))),
    ]
  }
}
