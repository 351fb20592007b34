import HashTreeCollections
import PumiceModel

extension Tables {
  /// Gives a volume another type, where it can stay as it is and where it is.
  ///
  /// Throws `unsupported` where its bytes would have to be moved or changed, `conflict` while the volume is in the wrong state,
  /// `overQuota` where the new type's limits are reached. Harmless when it has that type.
  mutating func retype(
    _ id: VolumeID, of project: ProjectID?, to nameOrID: String, at now: Timestamp
  ) throws(StorageError) {
    var volume = try volume(id, of: project)
    guard let new = try? volumeType(nameOrID), project.map({ new.isOpen(to: $0) }) ?? true else {
      throw .invalid("new_type", "'\(nameOrID)' is no volume type.")
    }
    guard new.id != volume.type else { return }
    func requireStaying(_ condition: Bool, _ reason: String) throws(StorageError) {
      guard !condition else { return }
      throw StorageError(
        .unsupported,
        "\(volume.label) can't be made one of type \(new.name) where it is, since \(reason). Make a new volume of that type "
          + "from it instead.")
    }
    try requireStaying(new.encryption == nil, "volumes of that type are encrypted")
    try requireStaying(
      new.allowsMultiattach == volume.isMultiattach,
      new.allowsMultiattach ? "it was made for one instance" : "it was made for several instances")
    if let pool = volume.pool, let state = poolState(pool, policy: nil, at: now) {
      let lack = state.lack(of: new.extraSpecs)
      try requireStaying(lack == nil, "its pool \(pool) \(lack ?? "")")
    }
    if let holder = holders(of: id).first, types[volume.type]?.qosSpec != new.qosSpec {
      throw StorageError(
        .conflict,
        "\(volume.label) is \(holder.state.rawValue) to \(holder.holder), and type \(new.name) has other limits: detach it first."
      )
    }
    if let group = volume.group.flatMap({ groups[$0] }) { try requireType(new.id, in: group) }
    try usage(of: volume.project).checkRetype(
      of: volume.promisedSize.gibibytesRoundedUp, to: new, against: quota(of: volume.project))
    try volume.retype(to: new.id, at: now)
    put(volume)
  }

  /// Makes a volume that nobody has read-only, or not.
  mutating func setReadOnly(
    _ id: VolumeID, of project: ProjectID?, _ isReadOnly: Bool, at now: Timestamp
  ) throws(StorageError) {
    var volume = try volume(id, of: project)
    if let holder = holders(of: id).first {
      throw StorageError(
        .conflict,
        "\(volume.label) is \(holder.state.rawValue) to \(holder.holder), so it stays as it is: detach it first.")
    }
    volume.setReadOnly(isReadOnly, at: now)
    put(volume)
  }
}
