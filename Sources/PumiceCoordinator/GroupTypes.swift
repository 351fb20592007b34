import HashTreeCollections
import PumiceModel

/// The use cases of group types. Each is one transaction.
extension Tables {
  /// The type with this id, if it is there and, to others than admins, public.
  func groupType(_ id: GroupTypeID, isForAdmin: Bool = true) throws(StorageError) -> GroupType {
    guard let type = groupTypes[id], type.isPublic || isForAdmin else {
      throw StorageError(.notFound, "Group type \(id) could not be found.")
    }
    return type
  }

  /// Throws `conflict` about `name` where another type has it.
  mutating func createGroupType(
    name: String, summary: String, isPublic: Bool, specs: [String: String], at now: Timestamp,
    in surroundings: Surroundings
  ) throws(StorageError) -> GroupType {
    try requireFreeGroupTypeName(name)
    let type = GroupType(
      id: surroundings.newID(), name: name, summary: summary, isPublic: isPublic, specs: specs, createdAt: now)
    put(type)
    return type
  }

  /// Changes what is given and leaves the rest. Group snapshots that are there stay what they are.
  mutating func editGroupType(
    _ id: GroupTypeID, name: String? = nil, summary: String? = nil, isPublic: Bool? = nil,
    specs: [String: String]? = nil
  ) throws(StorageError) -> GroupType {
    var type = try groupType(id)
    if let name, name != type.name {
      try requireFreeGroupTypeName(name)
      type.name = name
    }
    type.summary = summary ?? type.summary
    type.isPublic = isPublic ?? type.isPublic
    if let specs {
      guard specs.count <= 128 else {
        throw .invalid("group_specs", "must have at most 128 entries, not \(specs.count).")
      }
      type.specs = specs
    }
    put(type)
    return type
  }

  /// Refused while a group is of this type.
  mutating func deleteGroupType(_ id: GroupTypeID) throws(StorageError) {
    let type = try groupType(id)
    if let group = groups.values.first(where: { $0.type == id }) {
      throw StorageError(.inUse, "Group type \(type.name) is that of group \(group.id), so it can't be deleted.")
    }
    remove(type)
  }

  private func requireFreeGroupTypeName(_ name: String) throws(StorageError) {
    guard !groupTypes.values.contains(where: { $0.name == name }) else {
      throw StorageError(.conflict, "Group type with name '\(name)' already exists.", field: "name")
    }
  }
}
