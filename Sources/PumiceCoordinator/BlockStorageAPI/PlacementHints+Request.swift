import PumiceModel

extension PlacementHints {
  /// Reads `OS-SCH-HNT:scheduler_hints`. Throws `invalid` with the name of the hint that is wrong, or that nobody knows.
  init(_ fields: RequestFields) throws(StorageError) {
    try fields.refuseUnknown(except: ["same_host", "different_host", "local_to_instance"])
    self.init(
      sameBackend: try Self.volumes("same_host", in: fields),
      differentBackend: try Self.volumes("different_host", in: fields), instance: try fields.id("local_to_instance"))
  }

  /// One volume, or a list of them.
  private static func volumes(_ name: String, in fields: RequestFields) throws(StorageError) -> [VolumeID] {
    let values: [JSONValue] =
      switch fields.value(name) {
      case nil: []
      case .array(let elements)?: elements
      case let value?: [value]
      }
    guard values.count <= 64 else { throw .invalid(name, "must name at most 64 volumes, not \(values.count).") }
    var volumes: [VolumeID] = []
    for value in values {
      guard case .string(let text) = value, let id = VolumeID(text) else {
        throw .invalid(name, "must be the UUID of a volume, or a list of such, not \(value.excerpt).")
      }
      volumes.append(id)
    }
    return volumes
  }
}
