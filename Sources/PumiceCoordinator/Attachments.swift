import HashTreeCollections
public import PumiceModel

/// The use cases of attachments, and what the reconciler writes about them. Each is one transaction.
extension Tables {
  /// Reserves the volume for the instance. Refused unless the volume is available and nothing holds it; one that several
  /// instances may have is refused only to those that have it.
  public mutating func attach(
    _ volumeID: VolumeID, to instance: InstanceID, device: String?, tag: String? = nil,
    isVolumeForInstanceOnly: Bool = false, of project: ProjectID?, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) -> Attachment {
    let volume = try volume(volumeID, of: project)
    guard let node = nodeRunning(instance) else {
      throw StorageError(.notFound, "Instance \(instance) could not be found.")
    }
    try requireFree(volume, for: instance)
    if let device {
      let taken = attachments(to: instance).first { $0.device == device }
      if let taken {
        throw StorageError(
          .conflict, "The device '\(device)' is taken on this instance by volume \(taken.volume).", field: "device")
      }
    }
    let attachment = Attachment(
      id: surroundings.newID(), volume: volumeID, project: volume.project, instance: instance, node: node,
      mode: try volume.mode(nil), device: device, tag: tag, isVolumeForInstanceOnly: isVolumeForInstanceOnly,
      createdAt: now)
    put(attachment)
    return attachment
  }

  /// Throws `conflict` unless the volume is available and nothing holds it; one that several may have is refused only to the
  /// instances that have it.
  func requireFree(_ volume: Volume, for instance: InstanceID?) throws(StorageError) {
    guard volume.state == .available else {
      throw StorageError(.conflict, "\(volume.label) is \(volume.state.rawValue), so it can't be attached.")
    }
    let holder = holders(of: volume.id).first {
      !volume.isMultiattach || (instance != nil && $0.instance == instance)
    }
    if let holder {
      throw StorageError(
        .conflict, "\(volume.label) is \(holder.state.rawValue) to \(holder.holder), so it can't be attached.")
    }
    try requireUnread(volume, to: "attached")
  }

  /// Begins to take a volume away from an instance. Harmless when that is under way.
  public mutating func detach(
    _ volumeID: VolumeID, from instance: InstanceID, of project: ProjectID?, at now: Timestamp
  ) throws(StorageError) {
    _ = try volume(volumeID, of: project)
    guard var attachment = holders(of: volumeID).first(where: { $0.place?.instance == instance }) else {
      throw StorageError(.notFound, "Volume \(volumeID) is not attached to instance \(instance).")
    }
    try attachment.beginDetaching(at: now)
    put(attachment)
  }

  /// Says whether a volume is to go with the instance that has it.
  public mutating func edit(
    _ id: AttachmentID, isVolumeForInstanceOnly: Bool
  ) throws(StorageError) {
    guard var attachment = attachments[id], attachment.holdsVolume else {
      throw StorageError(.notFound, "Attachment \(id) could not be found.")
    }
    attachment.isVolumeForInstanceOnly = isVolumeForInstanceOnly
    put(attachment)
  }

  /// The attachments that some instance has or is to have.
  public func attachments(to instance: InstanceID) -> [Attachment] {
    attachments.values.filter { $0.place?.instance == instance && $0.holdsVolume }
  }

  /// The instance has the disk.
  public mutating func confirm(
    _ asked: Attachment, device: String, isLocal: Bool, at now: Timestamp
  ) throws(StorageError) {
    guard var attachment = unchanged(asked) else { return }
    try attachment.confirm(device: device, isLocal: isLocal, at: now)
    put(attachment)
  }

  /// A client's target is there.
  public mutating func confirmExported(_ asked: Attachment, at now: Timestamp) throws(StorageError) {
    guard var attachment = unchanged(asked) else { return }
    try attachment.confirm(device: nil, at: now)
    put(attachment)
  }

  /// Attaching failed: again later, or, after a permanent error or too many tries, all the way back with a message.
  /// A disk that an instance has already is never taken away for that.
  public mutating func noteConnectFailure(
    _ asked: Attachment, _ error: StorageError, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var attachment = unchanged(asked) else { return }
    let nodesInNeed = [attachment.node, volumes[attachment.volume]?.pool?.node].compactMap(\.self)
    if isOnlyToWait(after: error, on: nodesInNeed, policy: policy, at: now) {
      attachment.retry.postponed(error, at: now)
      return put(attachment)
    }
    attachment.retry.failed(error, at: now)
    let isHopeless = !error.isTransient || attachment.retry.attempts >= policy.maxConnectAttempts
    if attachment.state == .attaching, isHopeless {
      try attachment.beginDetaching(because: error.message, at: now)
      if let volume = volumes[attachment.volume] {
        note(.attach, of: volume, error.message, at: now, in: surroundings)
      }
    }
    if nodesInNeed.contains(where: { nodes[$0]?.isLost == true }) { attachment.abandonRepair(at: now) }
    put(attachment)
  }

  public mutating func noteDetachFailure(_ asked: Attachment, _ error: StorageError, at now: Timestamp) {
    guard var attachment = unchanged(asked) else { return }
    attachment.retry.failed(error, at: now)
    put(attachment)
  }

  public mutating func confirmDisconnected(_ asked: Attachment, at now: Timestamp) throws(StorageError) {
    guard var attachment = unchanged(asked) else { return }
    try attachment.confirmDisconnected(at: now)
    put(attachment)
  }

  public mutating func confirmWithdrawn(_ asked: Attachment, at now: Timestamp) throws(StorageError) {
    guard var attachment = unchanged(asked) else { return }
    try attachment.confirmWithdrawn(at: now)
    put(attachment)
  }

  /// The node that has the instance: the one where it runs, if several report it.
  public func nodeRunning(_ instance: InstanceID) -> NodeName? {
    var found: NodeName?
    for (node, observation) in observations where nodes[node]?.isLost != true {
      for candidate in observation.report.instances where candidate.id == instance {
        if candidate.status != .shutOff { return node }
        found = found ?? node
      }
    }
    return found
  }

  private func unchanged(_ asked: Attachment) -> Attachment? {
    attachments[asked.id].flatMap { $0.revision == asked.revision ? $0 : nil }
  }
}
