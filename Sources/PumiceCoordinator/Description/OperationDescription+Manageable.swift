/// Of what is on a node and not in the store.
extension OperationDescription {
  static let manageable: [OperationDescription] =
    ["manageable_volumes", "os-volume-manage"].flatMap(ofVolumes)
    + ["manageable_snapshots", "os-snapshot-manage"]
    .flatMap(ofSnapshots)

  private static let naming: [String: Schema] = [
    "name": .text().orNull(), "description": .text().orNull(), "metadata": .texts,
  ]
  private static let reference = Schema.object([:], optional: ["source-name": .text(), "source-id": .text()])
  private static let found: [String: Schema] = ["reference": .texts, "size": .integer(), "safe_to_manage": .flag]

  private static func ofVolumes(at path: String) -> [OperationDescription] {
    let order = Schema.object(
      ["host": .text(atLeast: 1), "ref": reference],
      optional: naming.merging([
        "volume_type": .text().orNull(), "availability_zone": .text().orNull(), "bootable": .flag,
      ]) { one, _ in one })
    return lists(path, "volume", of: .shown(found)) + [
      OperationDescription(
        "POST v3/\(path)", "Take a volume into the store", body: .one("volume", order), 202,
        .one("volume", .shared("volume")))
    ]
  }

  private static func ofSnapshots(at path: String) -> [OperationDescription] {
    let source = found.merging(["source_reference": .texts]) { one, _ in one }
    return lists(path, "snapshot", of: .shown(source)) + [
      OperationDescription(
        "POST v3/\(path)", "Take a snapshot into the store",
        body: .one("snapshot", .object(["volume_id": .id, "ref": reference], optional: naming)), 202,
        .one("snapshot", .shared("snapshot")))
    ]
  }

  private static func lists(_ path: String, _ kind: String, of element: Schema) -> [OperationDescription] {
    let query = paging.merging([
      "host": .text(), "sort": .pattern("^(size|reference)(:(asc|desc))?$"),
    ]) { one, _ in one }
    let list = page("manageable-\(kind)s", of: element)
    return [
      OperationDescription("GET v3/\(path)", "List \(kind)s of a node", query: query, 200, list),
      OperationDescription("GET v3/\(path)/detail", "List \(kind)s of a node in full", query: query, 200, list),
    ]
  }
}
