import HashTreeCollections
import PumiceModel

/// What a user asks for in a new group that is made from something, checked for form but not yet against the store.
struct CopiedGroupOrder: Sendable {
  let source: Group.Source
  var user = ""
  var name = ""
  var summary = ""
  var requestID: String?

  init(from source: Group.Source) { self.source = source }
}

extension Tables {
  /// Makes a group like another one, with a copy of each of its volumes, or of each snapshot of a group snapshot of it. It belongs
  /// to whom its source belongs, and so do the volumes.
  ///
  /// All rows are there then, or none: quota is checked for the group and for all volumes. Which volumes there are to be is then
  /// known to the store alone, and the reconciler makes each of them as it makes any copy.
  ///
  /// Throws `unsupported` for a group whose type asks for one moment while instances write to its volumes: each copy would be of
  /// another. From a group snapshot there is no such difficulty.
  mutating func createGroup(
    _ order: CopiedGroupOrder, of project: ProjectID?, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) -> Group {
    let (original, sources) = try originals(of: order.source, of: project)
    // A volume that was retyped may have a type that the group does not name.
    let volumeTypes = sources.map(\.type).reduce(into: original.volumeTypes) { types, type in
      if !types.contains(type) { types.append(type) }
    }
    try usage(of: original.project).checkGroup(against: quota(of: original.project))
    let group = Group(
      id: surroundings.newID(), project: original.project, user: order.user, name: order.name, summary: order.summary,
      type: original.type, volumeTypes: volumeTypes, availabilityZone: original.availabilityZone, source: order.source,
      createdAt: now)
    put(group)
    for source in sources {
      var volume = VolumeOrder(project: group.project, size: nil)
      volume.user = order.user
      volume.source = source.source
      volume.group = group.id
      volume.requestID = order.requestID
      _ = try createVolume(volume, policy: policy, at: now, in: surroundings)
    }
    return group
  }

  /// The group that the new one is to be like, and what its volumes are to be copies of.
  private func originals(
    of source: Group.Source, of project: ProjectID?
  ) throws(StorageError) -> (Group, [(source: VolumeOrder.Source, type: VolumeTypeID)]) {
    switch source {
    case .groupSnapshot(let id):
      let snapshot = try groupSnapshot(id, of: project)
      let group = try group(snapshot.group, of: nil)
      let members = snapshots(in: id).sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
      guard !members.isEmpty else {
        throw StorageError(.conflict, "\(snapshot.label) has no snapshots, so no group can be made from it.")
      }
      return (group, members.map { (.snapshot($0.id), $0.type) })
    case .group(let id):
      let group = try group(id, of: project)
      let members = volumes(in: group)
      guard !members.isEmpty else {
        throw StorageError(.conflict, "\(group.label) has no volumes, so no group can be made from it.")
      }
      if groupTypes[group.type]?.isConsistent == true,
        let held = members.first(where: { !holders(of: $0.id).isEmpty })
      {
        throw StorageError(
          .unsupported,
          "\(held.label) of \(group.label) is in use, so copies of the group's volumes would not be of one moment: take a "
            + "group snapshot, and make the group from that.")
      }
      return (group, members.map { (.volume($0.id), $0.type) })
    }
  }
}
