import HashTreeCollections
public import PumiceModel

/// The use cases of volume types. Each is one transaction.
extension Tables {
  /// Makes the type that takes volumes which name no other, where it is not there yet.
  public mutating func ensureDefaultType(at now: Timestamp, in surroundings: Surroundings) {
    guard type(named: VolumeType.defaultName) == nil else { return }
    put(
      VolumeType(
        id: surroundings.newID(), name: VolumeType.defaultName, summary: "Default Volume Type", createdAt: now))
  }

  /// The type with this id, if it is there and open to the project; `nil` stands for every project.
  func volumeType(_ id: VolumeTypeID, of project: ProjectID?) throws(StorageError) -> VolumeType {
    guard let type = types[id], project.map({ type.isOpen(to: $0) }) ?? true else {
      throw StorageError(.notFound, "Volume type \(id) could not be found.")
    }
    return type
  }

  /// Throws `conflict` about `name` where another type has it.
  mutating func createType(
    name: String, summary: String, isPublic: Bool, extraSpecs: [String: String], at now: Timestamp,
    in surroundings: Surroundings
  ) throws(StorageError) -> VolumeType {
    try requireFreeTypeName(name)
    let type = VolumeType(
      id: surroundings.newID(), name: name, summary: summary, isPublic: isPublic, extraSpecs: extraSpecs, createdAt: now
    )
    put(type)
    return type
  }

  /// Changes what is given and leaves the rest.
  mutating func editType(
    _ id: VolumeTypeID, name: String? = nil, summary: String? = nil, isPublic: Bool? = nil,
    extraSpecs: [String: String]? = nil
  ) throws(StorageError) -> VolumeType {
    var type = try volumeType(id, of: nil)
    if let name, name != type.name {
      guard type.name != VolumeType.defaultName else {
        throw .invalid("name", "of the default type must stay '\(VolumeType.defaultName)'.")
      }
      try requireFreeTypeName(name)
      type.name = name
    }
    if let summary { type.summary = summary }
    if let isPublic {
      guard isPublic || type.name != VolumeType.defaultName else {
        throw .invalid("is_public", "must be true for the default type.")
      }
      type.isPublic = isPublic
    }
    if let extraSpecs {
      guard extraSpecs.count <= 128 else {
        throw .invalid("extra_specs", "must have at most 128 entries, not \(extraSpecs.count).")
      }
      type.extraSpecs = extraSpecs
    }
    put(type)
    return type
  }

  /// Opens a private type to a project, or closes it again; its volumes stay. Throws `conflict` where that is done already, as
  /// Cinder does.
  mutating func setAccess(
    to id: VolumeTypeID, of project: ProjectID, _ isOpen: Bool
  ) throws(StorageError) {
    var type = try volumeType(id, of: nil)
    guard !type.isPublic else {
      throw .invalid("volume_type", "'\(type.name)' is public: everybody has access to it.")
    }
    guard type.projects?.contains(project) ?? false != isOpen else {
      guard isOpen else {
        throw StorageError(.notFound, "Project '\(project)' has no access to volume type \(type.name).")
      }
      throw StorageError(
        .conflict, "Project '\(project)' has access to volume type \(type.name) already.", field: "project")
    }
    var projects = type.projects ?? []
    if isOpen { projects.insert(project) } else { projects.remove(project) }
    type.projects = projects.isEmpty ? nil : projects
    put(type)
  }

  /// Refused while a volume is of this type, and for the default one.
  mutating func deleteType(_ id: VolumeTypeID) throws(StorageError) {
    let type = try volumeType(id, of: nil)
    guard type.name != VolumeType.defaultName else {
      throw StorageError(.conflict, "Volume type \(type.name) is the default one, so it can't be deleted.")
    }
    if let chosen = defaultTypes.values.first(where: { $0.type == id }) {
      throw StorageError(
        .inUse, "Volume type \(type.name) is the default one of project \(chosen.project), so it can't be deleted.")
    }
    let users = volumes.values.count { $0.type == id && $0.state != .deleted }
    guard users == 0 else {
      throw StorageError(
        .inUse,
        "Volume type \(type.name) is the type of \(users) volume\(users == 1 ? "" : "s"), so it can't be deleted.")
    }
    remove(type)
  }

  private func requireFreeTypeName(_ name: String) throws(StorageError) {
    guard type(named: name) == nil else {
      throw StorageError(.conflict, "Volume type with name '\(name)' already exists.", field: "name")
    }
  }
}
