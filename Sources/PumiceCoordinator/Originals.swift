import HashTreeCollections
import PumiceModel

/// What a volume is to be a copy of, as it is found in the store.
struct Original {
  let source: VolumeSource
  let label: String
  let size: ByteCount
  let type: VolumeTypeID
  let pool: PoolName

  /// Throws `invalid` where the copy would be too small.
  func check(_ size: ByteCount) throws(StorageError) {
    guard size >= self.size else {
      throw .invalid(
        "size",
        "must be at least that of the source, \(self.size.gibibytesRoundedUp) GiB, not \(size.gibibytesRoundedUp).")
    }
  }
}

extension Tables {
  /// The source of a new volume, if it is the project's and can be read now; `nil` for a volume that begins as zeros.
  func original(for order: VolumeOrder) throws(StorageError) -> Original? {
    guard let source = order.source else { return nil }
    let original = try find(source, of: order.project)
    let zone = nodes[original.pool.node]?.availabilityZone
    if let wanted = order.availabilityZone, let zone, wanted != zone {
      throw .invalid(
        "availability_zone", "must be that of the source: \(original.label) is in '\(zone)', not in '\(wanted)'.")
    }
    return original
  }

  private func find(_ source: VolumeOrder.Source, of project: ProjectID) throws(StorageError) -> Original {
    switch source {
    case .snapshot(let id):
      guard let snapshot = try? snapshot(id, of: project) else {
        throw StorageError(.notFound, "Snapshot \(id) could not be found.", field: "snapshot_id")
      }
      guard snapshot.state == .available else {
        throw StorageError(
          .conflict, "\(snapshot.label) is \(snapshot.state.rawValue), so no volume can be made from it.")
      }
      if let volume = volumes[snapshot.volume], volume.state == .reverting {
        throw StorageError(
          .conflict, "No volume can be made from \(snapshot.label) while \(volume.label) is reverting.")
      }
      return Original(
        source: .snapshot(id, of: snapshot.volume), label: snapshot.label, size: snapshot.size, type: snapshot.type,
        pool: snapshot.pool)
    case .volume(let id):
      guard let volume = try? volume(id, of: project) else {
        throw StorageError(.notFound, "Volume \(id) could not be found.", field: "source_volid")
      }
      let pool = try readablePool(of: volume, to: "be copied")
      return Original(source: .volume(id), label: volume.label, size: volume.size, type: volume.type, pool: pool)
    }
  }

  /// The type that the order names. Without a name it is the source's or the default one; with one, the source's pool must
  /// have all that the type asks for.
  func type(
    of order: VolumeOrder, like original: Original?, at now: Timestamp
  ) throws(StorageError) -> VolumeType {
    guard let original else {
      return order.type == nil ? try defaultType(of: order.project) : try volumeType(order.type)
    }
    guard let name = order.type else {
      guard let type = types[original.type] else {
        throw StorageError(.failed, "\(original.label) has a type that is not there.")
      }
      return type
    }
    let type = try volumeType(name)
    if type.id != original.type, let pool = poolState(original.pool, policy: nil, at: now),
      let lack = pool.lack(of: type.extraSpecs)
    {
      throw .invalid(
        "volume_type", "'\(type.name)' does not go with the source: its pool \(original.pool) \(lack).")
    }
    return type
  }
}
