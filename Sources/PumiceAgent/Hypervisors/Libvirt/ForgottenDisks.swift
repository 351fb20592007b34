import Glibc
import PumiceModel

/// Disks of ours that QEMU has and libvirt knows nothing of.
///
/// A libvirtd that dies in the middle of a plug remembers nothing of it, while QEMU may have the disk already. The disk takes
/// the PCI slot that libvirt gives to the next one, in vain, and keeps its login at the target; and libvirt says that the
/// instance does not have it. libvirt has no call that finds or removes it, but QEMU has.
extension DomainHandle {
  /// Removes what QEMU has for this attachment, when the XML does not have it. Returns when QEMU has answered and it is gone.
  ///
  /// The answer is worth having by itself: libvirt takes a disk out of the live XML before QEMU has logged out of the
  /// target, and while that waits for a target that is away, all of QEMU stands still. Whoever withdrew the export then
  /// would leave the guest so for ever.
  func removeForgottenDisk(of attachment: AttachmentID, _ attempt: String) throws(StorageError) {
    guard try peripherals(attempt)?.contains(DiskXML.alias(of: attachment)) == true else { return }
    // Between its reading and this answer somebody may have plugged it.
    guard try !state(attempt).hasDisk(of: attachment) else { return }
    try removeDisk(of: attachment, attempt)
  }

  /// Whether a plug failed over what QEMU has and libvirt does not know, and that has been removed now: try again.
  func removeForgottenDisks(after failure: StorageError, _ attempt: String) throws(StorageError) -> Bool {
    let message = failure.message
    guard
      ["duplicate property", "Duplicate", "in use by virtio-blk-pci"].contains(where: { message.contains($0) }),
      let present = try peripherals(attempt)
    else { return false }
    var isRemoved = false
    let state = try state(attempt)
    for attachment in present.compactMap({ DiskXML.attachment(ofAlias: $0) }) where !state.hasDisk(of: attachment) {
      try removeDisk(of: attachment, attempt)
      isRemoved = true
    }
    // It died before QEMU had the disk itself: only the disk's source is there.
    if let number = Self.sourceNumber(in: message) {
      closeSource(number, attempt)
      isRemoved = true
    }
    return isRemoved
  }

  private func removeDisk(of attachment: AttachmentID, _ attempt: String) throws(StorageError) {
    let device = DiskXML.alias(of: attachment)
    let drive = try drive(of: device, attempt)
    try requestRemoval(ofDevice: device, attempt)
    for _ in 0..<50 where try peripherals(attempt)?.contains(device) == true { usleep(100_000) }
    guard try peripherals(attempt)?.contains(device) != true else {
      throw StorageError(
        .timeout, "\(attempt) is not done: the guest does not let go of a disk that libvirt has forgotten, \(device).")
    }
    if let number = drive.flatMap(Self.sourceNumber) { closeSource(number, attempt) }
  }

  /// Closes files that QEMU has open and libvirt knows nothing of: what was opened to become a new layer, by a libvirtd that
  /// died meanwhile, and all that is behind such a layer once its disk has gone.
  ///
  /// Whoever opens them next must be alone with them: at the latest when it ends, QEMU writes out what it still has of an
  /// image's tables. What somebody uses, it does not close.
  func closeForgottenSources(_ attempt: String) throws(StorageError) {
    var left = Int.max
    while let open = try sources(attempt), !open.isEmpty {
      // Read after: what libvirt has opened by now, it may have written down by now.
      guard let live = try state(attempt).live else { return }
      let forgotten = open.subtracting(live.sourceNumbers)
      // The one in front has to go before those behind it.
      guard !forgotten.isEmpty, forgotten.count < left else { return }
      left = forgotten.count
      for number in forgotten.sorted(by: >) { closeSource(number, attempt) }
    }
  }

  /// The numbers of what libvirt has had QEMU open; `nil` when the domain has no QEMU that runs.
  private func sources(_ attempt: String) throws(StorageError) -> Set<Int>? {
    try whileItRuns { () throws(StorageError) in Set(try nodeNames(attempt).compactMap(Self.sourceNumber)) }
  }

  /// The 15 of `libvirt-15-storage`.
  private static func sourceNumber(in text: String) -> Int? {
    guard let start = text.firstRange(of: "libvirt-")?.upperBound else { return nil }
    return Int(text[start...].prefix { $0.isNumber })
  }
}
