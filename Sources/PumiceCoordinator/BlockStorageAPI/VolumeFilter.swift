import PumiceModel

extension VolumeRow {
  static let metadataFilterSince: Microversion? = Microversion(3, 0)

  static func test(
    _ name: String, _ value: String, of call: Call
  ) throws(StorageError) -> RowTest<VolumeRow>? {
    switch name {
    case "volume_type", "volume_type_id": return { $0.typeName == value || $0.volume.type.description == value }
    case "size":
      guard let size = Int(value) else { throw .invalid("size", "must be a whole number, not '\(value.prefix(40))'.") }
      return { $0.volume.size.gibibytesRoundedUp == size }
    case "multiattach":
      let isWanted = try RowFilter<VolumeRow>.flag(name, value)
      return { $0.volume.isMultiattach == isWanted }
    case "bootable":
      let isWanted = try RowFilter<VolumeRow>.flag(name, value)
      return { ($0.volume.bootable == true) == isWanted }
    case "encrypted":
      let isWanted = try RowFilter<VolumeRow>.flag(name, value)
      return { _ in !isWanted }
    case "host" where call.caller.role == .admin:
      return { row in
        row.volume.pool.map { "\($0)" == value || "\($0.node)@\($0.backend)" == value } ?? false
      }
    case "created_at" where call.version >= Microversion(3, 60):
      let bounds = try TimeBound.list(value, name)
      return { row in bounds.allSatisfy { $0.admits(row.volume.createdAt) } }
    case "updated_at" where call.version >= Microversion(3, 60):
      let bounds = try TimeBound.list(value, name)
      return { row in row.volume.updatedAt.map { moment in bounds.allSatisfy { $0.admits(moment) } } ?? false }
    case "snapshot_id":
      let id = SnapshotID(value)
      return { row in id != nil && row.volume.source?.snapshot == id }
    case "source_volid":
      let id = VolumeID(value)
      return { row in id.map { row.volume.source == .volume($0) } ?? false }
    case "group_id":
      let id = GroupID(value)
      return { row in id != nil && row.volume.group == id }
    case "migration_status", "glance_metadata", "image_id": return { _ in false }
    default: return nil
    }
  }
}
