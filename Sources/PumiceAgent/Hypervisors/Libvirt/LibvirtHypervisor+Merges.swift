import CLibvirt
import PumiceModel
import PumiceWire

/// Layers that go: block commits, which libvirt and QEMU carry on without us. The XML tells how they ended.
extension DomainHandle {
  /// How far the merge is, which it begins if need be; `nil` when it is done.
  func merge(
    _ index: Int, of change: ImageChange, mayBegin: Bool, _ failures: MergeFailures
  ) throws(StorageError) -> Progress? {
    let attempt = change.attempt
    guard let device = try state(attempt).live?.disk(of: change.attachment)?.device else {
      throw StorageError(.notFound, "\(attempt) failed: it has no such disk.")
    }
    if let progress = try progressOfMerge(of: device, attempt) { return progress }
    // It may have ended since the XML was read.
    let (state, plan) = try look(change)
    guard case .live(.merge(index)) = plan, let disk = state.live?.disk(of: change.attachment) else { return nil }
    if let reason = failures.take(device, of: change.instance, isRecent: !mayBegin) {
      throw StorageError(
        Self.code(ofMergeFailure: reason), "\(attempt) failed: QEMU could not merge the layers: \(reason).")
    }
    guard mayBegin else { throw StorageError(.failed, "\(attempt) failed: the merge ended without success.") }
    guard case .image(let current) = disk.location else { return nil }
    try settleNames(of: current, as: disk, attempt)
    try beginMerge(of: index, in: current, as: disk, device, attempt)
    return Progress(done: 0)
  }

  private func progressOfMerge(of device: String, _ attempt: String) throws(StorageError) -> Progress? {
    guard let job = try job(on: device, attempt) else { return nil }
    guard job.type == Int32(VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT.rawValue) else {
      throw StorageError(.inUse, "\(attempt) failed: \(device) has a block job of somebody else's.")
    }
    // Both are 0 before it has begun; and at its end the XML has still to change.
    return Progress(done: job.end == 0 ? 0 : min(Double(job.cur) / Double(job.end), 0.99))
  }

  /// What libvirt knows to be under way with a disk; `nil` for nothing, and where there is no such disk.
  func job(on device: String, _ attempt: String) throws(StorageError) -> virDomainBlockJobInfo? {
    var job = virDomainBlockJobInfo()
    let found = virDomainGetBlockJobInfo(pointer, device, &job, 0)
    guard found >= 0 else {
      let error = LibvirtError()
      // The guest may have let go of the disk meanwhile.
      if error.isAbsence { return nil }
      throw error.storageError(attempt)
    }
    return found == 1 ? job : nil
  }

  private func beginMerge(
    of index: Int, in image: DiskImage, as disk: DiskXML, _ device: String, _ attempt: String
  ) throws(StorageError) {
    guard let numbers = disk.layerNumbers, numbers.count == image.layers.count else {
      throw StorageError(.failed, "\(attempt) failed: the live XML has no numbers for the layers of \(device).")
    }
    // libvirt reads the names from the headers of local files, and so can keep them; of others it knows no names.
    let keepsNames = Set(image.layers.map(\.folder)).count == 1 && image.layers[0].type == "file"
    let result = virDomainBlockCommit(
      pointer, device, "\(device)[\(numbers[index + 1])]", "\(device)[\(numbers[index])]", 0,
      keepsNames ? VIR_DOMAIN_BLOCK_COMMIT_RELATIVE.rawValue : 0)
    guard result == 0 else { throw LibvirtError().storageError(attempt) }
  }

  /// Gives up the merge that is under way, if one is: the layers stay as they are. libvirt lets no disk go before.
  func endMerge(of device: String, _ attempt: String) throws(StorageError) {
    guard try progressOfMerge(of: device, attempt) != nil else { return }
    // One that has ended meanwhile can't be given up, and one that can't be given up keeps the disk: libvirt will say so.
    if virDomainBlockJobAbort(pointer, device, 0) != 0 { virResetLastError() }
  }

  private static func code(ofMergeFailure reason: String) -> StorageError.Code {
    reason.contains("No space left") || reason.contains("quota") ? .noSpace : .failed
  }
}
