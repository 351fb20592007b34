import HashTreeCollections
import PumiceModel

/// The use cases of QoS specs. Each is one transaction.
extension Tables {
  /// What the guest may do with a disk of this volume that it gets now.
  func diskLimits(of volume: Volume) -> DiskLimits? {
    types[volume.type]?.qosSpec.flatMap { qosSpecs[$0] }?.diskLimits
  }

  func qosSpec(_ id: QoSSpecID) throws(StorageError) -> QoSSpec {
    guard let spec = qosSpecs[id] else { throw StorageError(.notFound, "QoS spec \(id) could not be found.") }
    return spec
  }

  /// The types that have it, by name.
  func types(with spec: QoSSpecID) -> [VolumeType] {
    types.values.filter { $0.qosSpec == spec }.sorted { $0.name < $1.name }
  }

  /// Throws `conflict` about `name` where another has it.
  mutating func createQoSSpec(
    name: String, consumer: QoSSpec.Consumer, rules: [String: String], at now: Timestamp,
    in surroundings: Surroundings
  ) throws(StorageError) -> QoSSpec {
    guard !qosSpecs.values.contains(where: { $0.name == name }) else {
      throw StorageError(.conflict, "QoS spec with name '\(name)' already exists.", field: "name")
    }
    let spec = try QoSSpec(id: surroundings.newID(), name: name, consumer: consumer, rules: rules, createdAt: now)
    put(spec)
    return spec
  }

  /// Disks that guests have already keep the limits they got.
  mutating func setQoSSpec(
    _ id: QoSSpecID, _ rules: [String: String], consumer: QoSSpec.Consumer?
  ) throws(StorageError) {
    var spec = try qosSpec(id)
    try spec.set(rules, consumer: consumer)
    put(spec)
  }

  mutating func unsetQoSSpec(_ id: QoSSpecID, _ keys: [String]) throws(StorageError) {
    var spec = try qosSpec(id)
    try spec.unset(keys)
    put(spec)
  }

  /// - Parameter isForced: Whether types that have it lose it; without that, it is refused while there are any.
  mutating func deleteQoSSpec(_ id: QoSSpecID, isForced: Bool) throws(StorageError) {
    let spec = try qosSpec(id)
    if let type = types(with: id).first, !isForced {
      throw StorageError(
        .inUse, "QoS spec \(spec.name) belongs to volume type \(type.name), so it can't be deleted without force.")
    }
    try disassociateAll(from: id)
    remove(spec)
  }

  /// Harmless when repeated. A type has one at most.
  mutating func associate(_ id: QoSSpecID, with typeID: VolumeTypeID) throws(StorageError) {
    let spec = try qosSpec(id)
    var type = try volumeType(typeID, of: nil)
    if let other = type.qosSpec, other != id {
      throw .invalid(
        "vol_type_id", "'\(type.name)' has another QoS spec already, \(qosSpecs[other]?.name ?? "\(other)").")
    }
    type.qosSpec = spec.id
    put(type)
  }

  /// Harmless when the type does not have it.
  mutating func disassociate(_ id: QoSSpecID, from typeID: VolumeTypeID) throws(StorageError) {
    _ = try qosSpec(id)
    var type = try volumeType(typeID, of: nil)
    guard type.qosSpec == id else { return }
    type.qosSpec = nil
    put(type)
  }

  mutating func disassociateAll(from id: QoSSpecID) throws(StorageError) {
    _ = try qosSpec(id)
    for var type in types(with: id) {
      type.qosSpec = nil
      put(type)
    }
  }
}
