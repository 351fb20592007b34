import HashTreeCollections
public import PumiceModel

/// What a user asks for in a new group, checked for form but not yet against the store.
public struct GroupOrder: Sendable {
  public var project: ProjectID
  public var user = ""
  public var name = ""
  public var summary = ""
  /// By name or id, as the volume types are.
  public var type: String
  public var volumeTypes: [String]
  public var availabilityZone: String?
  var isForAdmin = false

  public init(project: ProjectID, type: String, volumeTypes: [String]) {
    self.project = project
    self.type = type
    self.volumeTypes = volumeTypes
  }
}

/// What a user asks to be changed of a group.
public struct GroupChange: Sendable {
  public var name: String?
  public var summary: String?
  public var added: [VolumeID]
  public var removed: [VolumeID]

  public init(added: [VolumeID] = [], removed: [VolumeID] = []) {
    self.added = added
    self.removed = removed
  }
}

/// The use cases of groups. Each is one transaction.
extension Tables {
  /// The group, if it is there and the project's; `nil` stands for every project.
  func group(_ id: GroupID, of project: ProjectID?) throws(StorageError) -> Group {
    guard let group = groups[id], project == nil || group.project == project else {
      throw StorageError(.notFound, "Group \(id) could not be found.")
    }
    return group
  }

  /// Its volumes, oldest first.
  func volumes(in group: Group) -> [Volume] {
    volumeIDs(in: group.id).compactMap { volumes[$0] }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  public mutating func createGroup(
    _ order: GroupOrder, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) -> Group {
    let found = groupTypes.values.first { $0.name == order.type || $0.id.description == order.type.lowercased() }
    guard let type = found, type.isPublic || order.isForAdmin else {
      throw StorageError(.notFound, "Group type '\(order.type.prefix(64))' could not be found.", field: "group_type")
    }
    var types: [VolumeTypeID] = []
    for name in order.volumeTypes {
      let type = try volumeType(name)
      guard type.isOpen(to: order.project) else {
        throw StorageError(.notFound, "Volume type '\(name)' could not be found.", field: "volume_types")
      }
      if !types.contains(type.id) { types.append(type.id) }
    }
    if let zone = order.availabilityZone, !availabilityZones().contains(zone) {
      throw .invalid("availability_zone", "'\(zone)' is unknown: no node belongs to it.")
    }
    try usage(of: order.project).checkGroup(against: quota(of: order.project))
    let group = Group(
      id: surroundings.newID(), project: order.project, user: order.user, name: order.name, summary: order.summary,
      type: type.id, volumeTypes: types, availabilityZone: order.availabilityZone, createdAt: now)
    put(group)
    return group
  }

  /// Changes what is given and leaves the rest.
  public mutating func editGroup(_ id: GroupID, of project: ProjectID?, _ change: GroupChange) throws(StorageError) {
    var group = try group(id, of: project)
    group.name = change.name ?? group.name
    group.summary = change.summary ?? group.summary
    put(group)
    for id in change.removed {
      guard var volume = volumes[id], volume.group == group.id else {
        throw .invalid("remove_volumes", "has \(id), which is not in \(group.label).")
      }
      volume.group = nil
      put(volume)
    }
    for id in change.added {
      var volume = try admissible(id, to: group)
      volume.group = group.id
      put(volume)
    }
  }

  /// A volume that may join the group.
  private func admissible(_ id: VolumeID, to group: Group) throws(StorageError) -> Volume {
    guard let volume = try? volume(id, of: group.project) else {
      throw .invalid("add_volumes", "has \(id), which is no volume of the project.")
    }
    guard volume.group == nil else {
      throw .invalid("add_volumes", "has \(id), which is in a group already.")
    }
    guard volume.state == .available else {
      throw StorageError(
        .conflict, "\(volume.label) is \(volume.state.rawValue), so it can't be put into \(group.label).")
    }
    try requireType(volume.type, in: group)
    return volume
  }

  /// Throws `invalid` where volumes of this type have no place in the group.
  func requireType(_ type: VolumeTypeID, in group: Group) throws(StorageError) {
    guard group.volumeTypes.contains(type) else {
      throw .invalid("volume_type", "'\(types[type]?.name ?? "\(type)")' is none of the types of \(group.label).")
    }
  }

  /// Takes the group away, and with it, if that is asked for, its volumes. Without that, it is refused while it has any.
  mutating func deleteGroup(
    _ id: GroupID, of project: ProjectID?, withVolumes: Bool, at now: Timestamp
  ) throws(StorageError) {
    let group = try group(id, of: project)
    if let snapshot = groupSnapshots.values.first(where: { $0.group == id }) {
      throw StorageError(.inUse, "\(group.label) can't be deleted: delete its group snapshot \(snapshot.id) first.")
    }
    let members = volumes(in: group)
    guard members.isEmpty || withVolumes else {
      throw StorageError(
        .inUse, "\(group.label) has \(members.count) volumes, so it can't be deleted without delete-volumes.")
    }
    for var volume in members {
      volume.group = nil
      put(volume)
      try deleteVolume(volume.id, of: project, at: now)
    }
    remove(group)
  }

  /// Throws `inUse` for a volume that is in a group: what becomes of that is the group's to say.
  func requireNoGroup(_ volume: Volume, to verb: String) throws(StorageError) {
    guard let group = volume.group.flatMap({ groups[$0] }) else { return }
    throw StorageError(.inUse, "\(volume.label) is in \(group.label), so it can't \(verb): take it out first.")
  }
}
