import PumiceModel

/// A domain's configuration, live or stored, as far as disks go.
struct DomainXML: Sendable, Hashable {
  let root: XMLElement

  init(root: XMLElement) { self.root = root }

  init(_ text: String) throws(StorageError) {
    let root = try XMLElement(parsing: text, as: "The domain XML")
    guard root.name == "domain" else {
      throw StorageError(.failed, "The domain XML is no domain: its root is <\(root.name)>.")
    }
    self.root = root
  }

  /// Whether it describes a running instance: only that has a number.
  var isLive: Bool { root["id"] != nil }

  var disks: [DiskXML] { root.first("devices")?.elements("disk").map { DiskXML($0) } ?? [] }

  /// The disk with this attachment's alias.
  func disk(of attachment: AttachmentID) -> DiskXML? { disks.first { $0.attachment == attachment } }

  /// Of all that QEMU has open for its disks, in a live configuration: the `index` of `source`, `backingStore` and `mirror`.
  var sourceNumbers: Set<Int> {
    var numbers: Set<Int> = []
    var elements = disks.map(\.element)
    while let element = elements.popLast() {
      if let number = element["index"].flatMap({ Int($0) }) { numbers.insert(number) }
      elements += element.elements
    }
    return numbers
  }

  var deviceNames: Set<String> { Set(disks.compactMap(\.device)) }

  var hasVirtIOSCSIController: Bool {
    root.first("devices")?.elements("controller").contains {
      $0["type"] == "scsi" && ($0["model"]?.hasPrefix("virtio") ?? false)
    } ?? false
  }
}

/// A domain as it runs and as it is stored, read together.
struct DomainState: Sendable, Hashable {
  /// `nil` while it is shut off.
  let live: DomainXML?
  /// `nil` if it is transient.
  let stored: DomainXML?

  private var configurations: [DomainXML] { [live, stored].compactMap(\.self) }

  /// Every disk of ours.
  func pluggedDisks(of instance: InstanceID) -> [PluggedDisk] {
    var ids: [AttachmentID] = []
    for id in configurations.flatMap({ $0.disks.compactMap(\.attachment) }) where !ids.contains(id) { ids.append(id) }
    return ids.compactMap { pluggedDisk($0, of: instance) }
  }

  /// The disk of this attachment. What it says of itself comes from the live configuration where that has it.
  func pluggedDisk(_ attachment: AttachmentID, of instance: InstanceID) -> PluggedDisk? {
    let (running, kept) = (live?.disk(of: attachment), stored?.disk(of: attachment))
    guard let disk = running ?? kept, let device = disk.device else { return nil }
    return PluggedDisk(
      attachment: attachment, volume: disk.volume, instance: instance, device: device, isLive: running != nil,
      isStored: kept != nil)
  }

  /// The files that its disks are made of, but for one of ours.
  func files(besides attachment: AttachmentID) -> Set<String> {
    var files: Set<String> = []
    for disk in configurations.flatMap(\.disks) where disk.attachment != attachment {
      var elements = [disk.element]
      while let element = elements.popLast() {
        if element.name == "source", let file = element["file"] { files.insert(file) }
        elements += element.elements
      }
    }
    return files
  }

  func hasDisk(of attachment: AttachmentID) -> Bool {
    configurations.contains { $0.disk(of: attachment) != nil }
  }

  /// What is left to do so that the instance has this disk.
  ///
  /// Throws `wrongDevice` when the alias is there with another volume's serial, `conflict` when the asked-for name is
  /// taken, `invalid` when there can be no such name here.
  func plan(for disk: Disk, in instance: InstanceID) throws(StorageError) -> PlugPlan {
    let present = configurations.compactMap { $0.disk(of: disk.attachment) }
    var disk = disk
    for other in present where other.volume != disk.volume {
      throw StorageError(
        .wrongDevice,
        """
        Instance \(instance) has a disk \(other.alias ?? "") already, but its serial is \(other.serial ?? "missing"), \
        not \(disk.volume).
        """
      )
    }
    // Of an image, the half that is missing gets what the other has, which may have got layers since.
    if case .image(let image) = present.first?.location { disk.source = .image(image) }
    let target =
      if let present = present.first.flatMap({ Self.target(of: $0) }) { present } else {
        try freeTarget(for: disk, in: instance)
      }
    return PlugPlan(
      disk: disk, element: try DiskXML(disk, at: target), device: target.name,
      live: live.map { $0.disk(of: disk.attachment) == nil } ?? false,
      stored: stored.map { $0.disk(of: disk.attachment) == nil } ?? false)
  }

  private static func target(of disk: DiskXML) -> DiskTarget? {
    disk.device.map { DiskTarget(name: $0, bus: disk.bus ?? .virtio) }
  }

  private func freeTarget(for disk: Disk, in instance: InstanceID) throws(StorageError) -> DiskTarget {
    let taken = configurations.reduce(into: Set<String>()) { $0.formUnion($1.deviceNames) }
    guard let asked = disk.device else { return DiskTarget(firstFreeOn: .virtio, besides: taken) }
    let target = try DiskTarget(asked: asked)
    guard !taken.contains(target.name) else {
      throw StorageError(
        .conflict,
        "Volume \(disk.volume) can't be plugged as \(target.name): instance \(instance) has another disk there.")
    }
    guard target.bus != .scsi || configurations.allSatisfy(\.hasVirtIOSCSIController) else {
      throw .invalid("device", "\(target.name) needs a virtio-scsi controller, which instance \(instance) lacks.")
    }
    return target
  }
}

/// Where a disk is still missing, and what to put there.
struct PlugPlan: Sendable, Equatable {
  let disk: Disk
  let element: DiskXML
  let device: String
  /// Whether the running instance lacks it.
  let live: Bool
  /// Whether the stored configuration lacks it.
  let stored: Bool
}
