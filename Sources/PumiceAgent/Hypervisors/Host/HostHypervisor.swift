import Glibc
public import PumiceModel

/// The machine itself as its only instance: for hosts that use volumes without virtual machines.
///
/// A plugged disk is a link, `/dev/disk/by-pumice/<volume>`, to the connector's device; what is plugged is kept on disk, so
/// that a reboot takes away the link and not the knowledge. The link is the disk's name: an asked-for one is not used,
/// since `vdb` may be another disk of this machine. To be read-only is left to the target.
public final class HostHypervisor: Hypervisor {
  public let kind = "host"
  private let instance: Instance
  private let disks: any RecordStore<HostDisk>
  private let links: DeviceLinks<Volume>
  private let hub = HypervisorEventHub()

  /// - Parameters:
  ///   - id: What the machine is called as an instance; the same for as long as it has disks.
  ///   - disks: What it was given; survives the agent.
  ///   - links: The folder of the links; below /dev, so that a reboot empties it.
  public init(
    id: InstanceID, name: String, disks: any RecordStore<HostDisk>, links: String = "/dev/disk/by-pumice"
  ) {
    instance = Instance(
      id: id, name: name, status: .active, vcpus: sysconf(Int32(_SC_NPROCESSORS_ONLN)),
      memory: ByteCount(Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))))
    self.disks = disks
    self.links = DeviceLinks(folder: links)
  }

  public func instances() async throws(StorageError) -> [Instance] { [instance] }

  public func disks() async throws(StorageError) -> [PluggedDisk] {
    var plugged: [PluggedDisk] = []
    for disk in disks.all { plugged.append(try await state(of: disk)) }
    return plugged
  }

  public func plug(_ disk: Disk, into instance: InstanceID) async throws(StorageError) -> PluggedDisk {
    let attempt = "Giving volume \(disk.volume) to host \(self.instance.name)"
    guard instance == self.instance.id else {
      throw StorageError(.notFound, "\(attempt) failed: it is instance \(self.instance.id), and not \(instance).")
    }
    guard case .block(let source) = disk.source else {
      throw StorageError(.unsupported, "\(attempt) failed: \(disk.source) is no device. Set hypervisor.connector.")
    }
    if let old = disks.record(of: disk.attachment), old.volume != disk.volume {
      throw StorageError(.wrongDevice, "\(attempt) failed: attachment \(disk.attachment) is volume \(old.volume).")
    }
    if let rival = disks.all.first(where: { $0.volume == disk.volume && $0.attachment != disk.attachment }) {
      throw StorageError(.conflict, "\(attempt) failed: it has it already, by attachment \(rival.attachment).")
    }
    let record = HostDisk(attachment: disk.attachment, volume: disk.volume, source: source)
    if disks.record(of: disk.attachment) != record { try await disks.put(record) }
    let links = links
    try await BlockingCalls.run { () throws(StorageError) in try links.point(disk.volume, to: source) }
    return try await state(of: record)
  }

  /// Throws `inUse` while the disk is mounted, part of something or open: ask again when it is not.
  public func unplug(_ attachment: AttachmentID, from instance: InstanceID) async throws(StorageError) {
    guard instance == self.instance.id, let disk = disks.record(of: attachment) else { return }
    let device = BlockDevice(path: disk.source)
    let user = try await DeviceCalls.run(within: .seconds(15), "Looking who uses \(device.path)") {
      () throws(StorageError) in try device.user()
    }
    if let user {
      throw StorageError(
        .inUse,
        "Volume \(disk.volume) can't be taken from host \(self.instance.name): it is in use by \(user). Unmount it there."
      )
    }
    let links = links
    try await BlockingCalls.run { () throws(StorageError) in try links.remove(disk.volume) }
    try await disks.remove(attachment)
  }

  public func resize(
    _ attachment: AttachmentID, of instance: InstanceID, to size: ByteCount
  ) async throws(StorageError) {
    let attempt = "Showing host \(self.instance.name) the new size of attachment \(attachment), \(size)"
    guard instance == self.instance.id, let disk = disks.record(of: attachment) else {
      throw StorageError(.notFound, "\(attempt) failed: it has no such disk.")
    }
    let device = BlockDevice(path: disk.source)
    let shown = try await DeviceCalls.run(within: .seconds(15), attempt) { () throws(StorageError) in
      try device.size()
    }
    guard shown >= size else {
      throw StorageError(.failed, "\(attempt) failed: \(device.path) still has \(shown).")
    }
  }

  public func events() -> AsyncStream<HypervisorEvent> { hub.events() }

  /// Live is what the link leads to; nothing, after a reboot, until the connector has brought it back.
  private func state(of disk: HostDisk) async throws(StorageError) -> PluggedDisk {
    let links = links
    let isLive = try await BlockingCalls.run { () throws(StorageError) in
      links.destination(of: disk.volume) == disk.source && access(disk.source, F_OK) == 0
    }
    return PluggedDisk(
      attachment: disk.attachment, volume: disk.volume, instance: instance.id,
      device: String(links.path(of: disk.volume).dropFirst("/dev/".count)), isLive: isLive, isStored: true)
  }
}

extension BlockDevice {
  /// Who uses it, in words; `nil` when nobody does, or when it is not there.
  fileprivate func user() throws(StorageError) -> String? {
    guard access(path, F_OK) == 0 else { return nil }
    if try isClaimed() { return "a mount, a device map or the like" }
    return number.flatMap { DeviceUsers.processes(using: [$0]).first?.description }
  }
}
