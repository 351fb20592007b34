import CLibvirt
public import PumiceModel

extension LibvirtHypervisor {
  public func plug(_ disk: Disk, into instance: InstanceID) async throws(StorageError) -> PluggedDisk {
    let attempt = "Plugging volume \(disk.volume) into instance \(instance)"
    return try await gate.withTurn(at: instance) { () throws(StorageError) in
      try await connection.call(attempt) { session throws(StorageError) in
        guard let domain = try session.domain(instance, attempt) else {
          throw StorageError(.notFound, "\(attempt) failed: libvirt has no such domain.")
        }
        // What an earlier, interrupted call has done already stays; the plan is what is missing.
        let plan = try domain.state(attempt).plan(for: disk, in: instance)
        if case .iscsi(_, _, _, _, _, let secret) = disk.source {
          try session.defineSecret(secret, of: disk.attachment)
        }
        do throws(StorageError) {
          try domain.carryOut(plan, attempt)
        } catch {
          guard try domain.removeForgottenDisks(after: error, attempt) else { throw error }
          try domain.carryOut(plan, attempt)
        }
        return try domain.state(attempt).verified(after: plan, in: instance, attempt)
      }
    }
  }

  public func resize(
    _ attachment: AttachmentID, of instance: InstanceID, to size: ByteCount
  ) async throws(StorageError) {
    let attempt = "Showing instance \(instance) the new size of attachment \(attachment), \(size)"
    try await gate.withTurn(at: instance) { () throws(StorageError) in
      try await connection.call(attempt) { session throws(StorageError) in
        guard let domain = try session.domain(instance, attempt) else {
          throw StorageError(.notFound, "\(attempt) failed: libvirt has no such domain.")
        }
        guard let live = try domain.state(attempt).live else { return }
        guard let device = live.disk(of: attachment)?.device else {
          throw StorageError(.notFound, "\(attempt) failed: it runs without that disk.")
        }
        try domain.grow(device, to: size, attempt)
      }
    }
  }
}

extension DomainHandle {
  fileprivate func carryOut(_ plan: PlugPlan, _ attempt: String) throws(StorageError) {
    let flags =
      (plan.live ? VIR_DOMAIN_AFFECT_LIVE.rawValue : 0) | (plan.stored ? VIR_DOMAIN_AFFECT_CONFIG.rawValue : 0)
    guard flags != 0 else { return }
    let xml = try plan.element.element.serialized()
    guard virDomainAttachDeviceFlags(pointer, xml, flags) == 0 else { throw LibvirtError().storageError(attempt) }
  }

  /// Never makes it smaller: that would cut off a file.
  fileprivate func grow(_ device: String, to size: ByteCount, _ attempt: String) throws(StorageError) {
    guard try capacity(of: device, attempt) <= size else { return }
    guard
      virDomainBlockResize(pointer, device, UInt64(size.bytes), VIR_DOMAIN_BLOCK_RESIZE_BYTES.rawValue) == 0
    else { throw LibvirtError().storageError(attempt) }
    let shown = try capacity(of: device, attempt)
    guard shown >= size else {
      throw StorageError(.failed, "\(attempt) failed: \(device) still shows \(shown).")
    }
  }

  func capacity(of device: String, _ attempt: String) throws(StorageError) -> ByteCount {
    var info = virDomainBlockInfo()
    guard virDomainGetBlockInfo(pointer, device, &info, 0) == 0 else { throw LibvirtError().storageError(attempt) }
    return ByteCount(Int64(clamping: info.capacity))
  }
}

extension DomainState {
  /// The disk as it reads now. What the plan put there must be exactly what was asked for; what was there before must
  /// still be there.
  func verified(
    after plan: PlugPlan, in instance: InstanceID, _ attempt: String
  ) throws(StorageError) -> PluggedDisk {
    let disk = plan.disk
    for (name, xml, isNew) in [("live", live, plan.live), ("stored", stored, plan.stored)] {
      guard let xml else { continue }
      guard let found = xml.disk(of: disk.attachment) else {
        throw StorageError(.failed, "\(attempt) failed: the \(name) XML does not have the disk afterwards.")
      }
      if isNew, let difference = try found.difference(from: disk) {
        throw StorageError(.wrongDevice, "\(attempt) failed: in the \(name) XML \(difference).")
      }
    }
    guard let plugged = pluggedDisk(disk.attachment, of: instance) else {
      throw StorageError(.failed, "\(attempt) failed: the instance has no configuration any more.")
    }
    return plugged
  }
}
