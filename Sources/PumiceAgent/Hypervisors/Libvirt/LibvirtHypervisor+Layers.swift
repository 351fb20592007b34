import CLibvirt
public import PumiceModel
public import PumiceWire

/// A new layer is an external snapshot onto a file that is there already; what libvirt calls a snapshot is not kept. A layer
/// goes by a block commit. In both, QEMU goes on with the guest's writes, and libvirt changes the live and the stored XML.
extension LibvirtHypervisor: LayeringHypervisor {
  /// How long a call watches a merge before it says how far that is.
  private static let patience = Duration.seconds(3)

  public func follow(
    _ image: DiskImage, of attachment: AttachmentID, in instance: InstanceID, isMerged: Bool
  ) async throws(StorageError) -> Progress {
    let image = try image.checked()
    let change = ImageChange(
      image: image, isMerged: isMerged, attachment: attachment, instance: instance,
      attempt: "Giving attachment \(attachment) of instance \(instance) the image \(image)")
    let deadline = ContinuousClock.now + Self.patience
    var pause = Duration.milliseconds(50)
    var progress = try await advance(change, mayBegin: true)
    while !progress.isComplete, ContinuousClock.now < deadline, !Task.isCancelled {
      try? await Task.sleep(for: pause)
      pause = min(pause * 2, .milliseconds(500))
      // A merge that this call has begun and that is gone has failed.
      progress = try await advance(change, mayBegin: false)
    }
    return progress
  }

  public func files(besides attachment: AttachmentID) async throws(StorageError) -> Set<String> {
    let attempt = "Listing the files of libvirt's instances"
    return try await connection.call(attempt) { session throws(StorageError) in
      var files: Set<String> = []
      try session.forEachDomain(attempt) { domain throws(StorageError) in
        files.formUnion(try domain.state(attempt).files(besides: attachment))
      }
      return files
    }
  }

  private func advance(_ change: ImageChange, mayBegin: Bool) async throws(StorageError) -> Progress {
    let failures = connection.events.mergeFailures
    return try await gate.withTurn(at: change.instance) { () throws(StorageError) in
      try await connection.call(change.attempt) { session throws(StorageError) in
        guard let domain = try session.domain(change.instance, change.attempt) else {
          throw StorageError(.notFound, "\(change.attempt) failed: libvirt has no such domain.")
        }
        return try domain.advance(change, mayBegin: mayBegin, failures)
      }
    }
  }
}

/// What is asked for: an image for a disk.
struct ImageChange {
  let image: DiskImage
  /// Whether a layer that the image leaves out has gone down already.
  let isMerged: Bool
  let attachment: AttachmentID
  let instance: InstanceID
  /// Begins the message of an error.
  let attempt: String
}

extension DomainHandle {
  fileprivate func advance(
    _ change: ImageChange, mayBegin: Bool, _ failures: MergeFailures
  ) throws(StorageError) -> Progress {
    let attempt = change.attempt
    var (state, plan) = try look(change)
    if mayBegin { try requireAgreement(on: change, state) }
    switch plan {
    case .live(.merge(let index)):
      if let progress = try merge(index, of: change, mayBegin: mayBegin, failures) { return progress }
      (state, plan) = try look(change)
    case .live(.push(let layer)):
      try push(layer, of: change, onto: state)
      (state, plan) = try look(change)
    case .live(.none), .nothing, .store: break
    }
    if plan == .store, let stored = state.stored?.disk(of: change.attachment) {
      try store(stored.having(change.image), attempt)
      (state, plan) = try look(change)
    }
    guard plan == .nothing else {
      throw StorageError(.failed, "\(attempt) failed: the XML does not show it afterwards.")
    }
    if let live = state.live?.disk(of: change.attachment) {
      try settleNames(of: change.image, as: live, attempt)
      // A failure for which nobody has asked is none of the next merge's.
      if let device = live.device { _ = failures.take(device, of: change.instance) }
    }
    return .complete
  }

  /// Throws `conflict` when QEMU writes to a file of which libvirt does not know: a libvirtd that dies in the middle of a
  /// snapshot remembers nothing of it. The instance then starts with that file, if it is what was asked for.
  private func requireAgreement(on change: ImageChange, _ state: DomainState) throws(StorageError) {
    guard let live = state.live?.disk(of: change.attachment),
      let file = try fileInFront(of: live, change.attempt)
    else { return }
    // libnfs adds as whom it asks: nfs://host/path?uid=107
    let path = file.prefix { $0 != "?" }
    if path.hasSuffix(change.image.layers[0].path), let stored = state.stored?.disk(of: change.attachment),
      stored.location != .image(change.image)
    {
      try store(stored.having(change.image), change.attempt)
    }
    throw StorageError(
      .conflict,
      "\(change.attempt) failed: QEMU writes to \(file), of which libvirt does not know. Detach the volume and attach it "
        + "again, or shut the instance off and start it."
    )
  }

  /// The configurations, read anew, and what is left to do. Layers that only libvirt believes in are left out.
  func look(_ change: ImageChange) throws(StorageError) -> (DomainState, LayerPlan) {
    var state = try state(change.attempt)
    if let live = state.live?.disk(of: change.attachment), let device = live.device,
      try job(on: device, change.attempt) == nil
    {
      for layer in try mergedLayers(of: live, change.attempt) { state = state.without(layer, of: change.attachment) }
    }
    return (state, try state.plan(for: change.image, of: change.attachment, isMerged: change.isMerged, change.attempt))
  }

  /// Writes a disk into the stored configuration, in the place of the one with the same target name.
  private func store(_ disk: DiskXML, _ attempt: String) throws(StorageError) {
    let xml = try disk.element.serialized()
    guard virDomainUpdateDeviceFlags(pointer, xml, VIR_DOMAIN_AFFECT_CONFIG.rawValue) == 0 else {
      throw LibvirtError().storageError(attempt)
    }
  }

  // MARK: A new layer

  private func push(
    _ layer: DiskImage.Layer, of change: ImageChange, onto state: DomainState
  ) throws(StorageError) {
    let attempt = change.attempt
    guard let live = state.live, let disk = live.disk(of: change.attachment), let device = disk.device else {
      throw StorageError(.notFound, "\(attempt) failed: it has no such disk.")
    }
    try requireNoFailedWrites(attempt)
    // libvirt takes over into the stored XML only what had the same source there.
    if let stored = state.stored?.disk(of: change.attachment), stored.location != disk.location,
      case .image(let current) = disk.location
    {
      try store(stored.having(current), attempt)
    }
    // One that a dying libvirtd had QEMU open for this would be in the way, by its number and by its lock.
    try closeForgottenSources(attempt)
    try requireRoom(for: try capacity(of: device, attempt), in: layer, attempt)
    let xml = try SnapshotXML.element(putting: layer, before: device, of: live).serialized()
    let flags =
      VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY.rawValue | VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT.rawValue
      | VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA.rawValue | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC.rawValue
    guard let snapshot = virDomainSnapshotCreateXML(pointer, xml, flags) else {
      throw LibvirtError().storageError(attempt)
    }
    virDomainSnapshotFree(snapshot)
  }

  /// A guest that stands still over an I/O error has writes that are still to be done again, where the error was.
  private func requireNoFailedWrites(_ attempt: String) throws(StorageError) {
    var (state, reason): (Int32, Int32) = (0, 0)
    guard virDomainGetState(pointer, &state, &reason, 0) == 0 else { throw LibvirtError().storageError(attempt) }
    guard
      state != Int32(VIR_DOMAIN_PAUSED.rawValue) || reason != Int32(VIR_DOMAIN_PAUSED_IOERROR.rawValue)
    else {
      throw StorageError(
        .unsupported, "\(attempt) failed: the instance is paused over an I/O error. Mend that and resume it first.")
    }
  }
}
