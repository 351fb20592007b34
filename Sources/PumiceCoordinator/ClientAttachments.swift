import HashTreeCollections
import PumiceModel

/// The use cases of those who connect to volumes by themselves. Each is one transaction.
extension Tables {
  /// The attachment, if it holds its volume and is the project's; every other is `notFound`. `nil` stands for every project.
  func attachment(_ id: AttachmentID, of project: ProjectID?) throws(StorageError) -> Attachment {
    guard let attachment = attachments[id], attachment.holdsVolume, project == nil || attachment.project == project
    else { throw StorageError(.notFound, "Attachment \(id) could not be found.") }
    return attachment
  }

  /// Sets the volume aside for a client; as one that is `attaching` already where that has no further call to make for it.
  mutating func reserve(
    _ id: VolumeID, for client: StorageClient, instance: InstanceID? = nil, mode: Attachment.Mode? = nil,
    isReserved: Bool = true, of project: ProjectID?, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) -> Attachment {
    let volume = try volume(id, of: project)
    try requireFree(volume, for: instance)
    let attachment = Attachment(
      id: surroundings.newID(), volume: id, project: volume.project, client: client, instance: instance,
      mode: try volume.mode(mode), isReserved: isReserved, createdAt: now)
    put(attachment)
    return attachment
  }

  /// Changes a client's attachment.
  mutating func change(
    _ id: AttachmentID, of project: ProjectID?, _ change: (inout Attachment) throws(StorageError) -> Void
  ) throws(StorageError) -> Attachment {
    var attachment = try attachment(id, of: project)
    let before = attachment
    try change(&attachment)
    if attachment != before { put(attachment) }
    return attachment
  }

  /// The only attachment by which a client has the volume, for calls that name none: the one that is meant, if said.
  ///
  /// - Throws: `notFound` without any, `invalid` where several could be meant.
  func clientAttachment(
    of volume: VolumeID, _ meant: AttachmentID? = nil, where condition: (Attachment) -> Bool = { _ in true }
  ) throws(StorageError) -> Attachment {
    if let meant {
      let attachment = try attachment(meant, of: nil)
      guard attachment.volume == volume else {
        throw .invalid("attachment_id", "'\(meant)' is not one of volume \(volume).")
      }
      return attachment
    }
    let found = holders(of: volume).filter { $0.client != nil && condition($0) }
    if found.count > 1 {
      throw .invalid("attachment_id", "is needed: volume \(volume) has \(found.count) that could be meant.")
    }
    guard let only = found.first else {
      throw StorageError(.notFound, "Volume \(volume) has no such attachment.")
    }
    return only
  }

  /// Lets the volume go: what a client has is withdrawn, and an instance of a compute node is asked to let go before.
  mutating func release(_ id: AttachmentID, at now: Timestamp) throws(StorageError) {
    guard var attachment = attachments[id] else { return }
    try attachment.beginDetaching(at: now)
    put(attachment)
  }
}

extension Volume {
  /// How it is attached, if that was asked for.
  func mode(_ asked: Attachment.Mode?) throws(StorageError) -> Attachment.Mode {
    guard isReadOnly else { return asked ?? .readWrite }
    guard asked != .readWrite else {
      throw .invalid("mode", "must be ro: \(label) is read-only.")
    }
    return .readOnly
  }
}
