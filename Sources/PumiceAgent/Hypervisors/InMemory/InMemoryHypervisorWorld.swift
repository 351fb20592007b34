public import PumiceModel
import Synchronization

/// What an `InMemoryHypervisor` finds when it looks: its instances and their disks, live and stored.
///
/// It survives the agent. Tests start and stop instances here and read what is plugged where.
public final class InMemoryHypervisorWorld: Sendable {
  /// A disk in an instance.
  public struct Slot: Sendable, Equatable {
    public let instance: InstanceID
    /// As it was plugged; `device` is the name it has.
    public let disk: Disk
    /// The size that the running instance was last told; `nil` before the first time.
    public let size: ByteCount?
    public let isLive: Bool
    public let isStored: Bool
  }

  enum Half { case live, stored }

  private struct Machine {
    var instance: Instance
    var live: [AttachmentID: Disk] = [:]
    var stored: [AttachmentID: Disk] = [:]
    var sizes: [AttachmentID: ByteCount] = [:]
    /// The image to which a merge of layers leads that is under way.
    var merges: [AttachmentID: DiskImage] = [:]
    var hasGuestAgent = true
    var isFrozen = false

    var isRunning: Bool {
      switch instance.status {
      case .active, .paused, .suspended: true
      case .shutOff, .error, .unknown: false
      }
    }
  }

  private struct Listener { weak var hub: HypervisorEventHub? }

  private let machines: Mutex<[InstanceID: Machine]>
  private let listeners = Mutex<[Listener]>([])

  public init(instances: [Instance] = []) {
    machines = Mutex(
      Dictionary(instances.map { ($0.id, Machine(instance: $0)) }, uniquingKeysWith: { first, _ in first }))
  }

  // MARK: What is there

  /// In the order of their ids.
  public var instances: [Instance] {
    machines.withLock { $0.values.map(\.instance) }.sorted { $0.id < $1.id }
  }

  /// Every disk in every instance, in the order of instances and attachments.
  public var slots: [Slot] {
    machines.withLock { machines in
      machines.values.sorted { $0.instance.id < $1.instance.id }.flatMap { machine in
        Set(machine.live.keys).union(machine.stored.keys).sorted().compactMap { Self.slot($0, in: machine) }
      }
    }
  }

  /// The instances whose guests hold their file systems still.
  public var frozen: [InstanceID] {
    machines.withLock { $0.values.filter(\.isFrozen).map(\.instance.id) }.sorted()
  }

  /// The disk as it is in this instance, live or stored.
  public func slot(_ attachment: AttachmentID, in instance: InstanceID) -> Slot? {
    machines.withLock { machines in machines[instance].flatMap { Self.slot(attachment, in: $0) } }
  }

  var pluggedDisks: [PluggedDisk] { slots.compactMap(Self.pluggedDisk) }

  func pluggedDisk(_ attachment: AttachmentID, in instance: InstanceID) -> PluggedDisk? {
    slot(attachment, in: instance).flatMap(Self.pluggedDisk)
  }

  private static func slot(_ attachment: AttachmentID, in machine: Machine) -> Slot? {
    let (live, stored) = (machine.live[attachment], machine.stored[attachment])
    return (live ?? stored).map {
      Slot(
        instance: machine.instance.id, disk: $0, size: machine.sizes[attachment], isLive: live != nil,
        isStored: stored != nil)
    }
  }

  private static func pluggedDisk(_ slot: Slot) -> PluggedDisk? {
    slot.disk.device.map {
      PluggedDisk(
        attachment: slot.disk.attachment, volume: slot.disk.volume, instance: slot.instance, device: $0,
        isLive: slot.isLive, isStored: slot.isStored)
    }
  }

  // MARK: What happens to instances

  /// Adds an instance, or replaces what is said of one that is there. Its disks stay.
  public func define(_ instance: Instance) {
    machines.withLock { $0[instance.id, default: Machine(instance: instance)].instance = instance }
    send(.lifecycle(instance.id))
  }

  /// Runs it, with the disks that are stored.
  public func start(_ instance: InstanceID) {
    change(instance) { machine in
      guard !machine.isRunning else { return }
      machine.live = machine.stored
      machine.instance = machine.instance.with(.active)
    }
  }

  /// From now on its guest can be asked to hold still, or not. It can from the start.
  public func setGuestAgent(_ isThere: Bool, in instance: InstanceID) {
    machines.withLock { $0[instance]?.hasGuestAgent = isThere }
  }

  /// Shuts it off. A transient one is gone then.
  public func shutOff(_ instance: InstanceID) {
    change(instance) { machine in
      machine.live = [:]
      machine.sizes = [:]
      machine.merges = [:]
      machine.isFrozen = false
      machine.instance = machine.instance.with(.shutOff)
    }
    machines.withLock { machines in
      if machines[instance]?.instance.isPersistent == false { machines[instance] = nil }
    }
  }

  /// Removes it with everything in it.
  public func undefine(_ instance: InstanceID) {
    machines.withLock { $0[instance] = nil }
    send(.lifecycle(instance))
  }

  /// Tells every hypervisor on this world that something happened by itself.
  public func send(_ event: HypervisorEvent) {
    for listener in listeners.withLock({ $0 }) { listener.hub?.send(event) }
  }

  func tell(_ hub: HypervisorEventHub) {
    listeners.withLock { listeners in
      listeners.removeAll { $0.hub == nil }
      listeners.append(Listener(hub: hub))
    }
  }

  private func change(_ instance: InstanceID, _ body: (inout Machine) -> Void) {
    machines.withLock { machines in
      guard var machine = machines[instance] else { return }
      body(&machine)
      machines[instance] = machine
    }
    send(.lifecycle(instance))
  }

  // MARK: What happens to file systems

  /// Each guest has one file system.
  func freeze(_ instance: InstanceID) throws(StorageError) -> Int {
    try withRunning(instance, "frozen") { machine throws(StorageError) in
      guard machine.hasGuestAgent else {
        throw StorageError(.unsupported, "Instance \(instance) can't be frozen: it has no guest agent.")
      }
      guard !machine.isFrozen else { throw StorageError(.failed, "Instance \(instance) is frozen already.") }
      machine.isFrozen = true
      return 1
    }
  }

  func thaw(_ instance: InstanceID) throws(StorageError) -> Int {
    try withRunning(instance, "thawed") { machine throws(StorageError) in
      defer { machine.isFrozen = false }
      return machine.isFrozen ? 1 : 0
    }
  }

  private func withRunning(
    _ instance: InstanceID, _ participle: String, _ body: (inout Machine) throws(StorageError) -> Int
  ) throws(StorageError) -> Int {
    try machines.withLock { machines throws(StorageError) in
      guard var machine = machines[instance] else {
        throw StorageError(.notFound, "Instance \(instance) can't be \(participle): there is none.")
      }
      guard machine.isRunning else {
        throw StorageError(.conflict, "Instance \(instance) can't be \(participle): it does not run.")
      }
      defer { machines[instance] = machine }
      return try body(&machine)
    }
  }

  // MARK: What happens to disks

  /// Puts the disk into one half of the configuration, if the instance has that half and lacks the disk.
  func plug(_ disk: Disk, into instance: InstanceID, _ half: Half) throws(StorageError) {
    try machines.withLock { machines throws(StorageError) in
      guard var machine = machines[instance] else {
        throw StorageError(
          .notFound, "Plugging volume \(disk.volume) into instance \(instance) failed: there is no such instance.")
      }
      let name = try Self.name(for: disk, in: machine)
      var source = disk.source
      // Of an image, the half that is missing gets what the other has, which may have got layers since.
      if case .image(let image) = (machine.live[disk.attachment] ?? machine.stored[disk.attachment])?.source {
        source = .image(image)
      }
      let named = Disk(
        attachment: disk.attachment, volume: disk.volume, source: source, device: name, readOnly: disk.readOnly,
        isShareable: disk.isShareable, limits: disk.limits)
      switch half {
      case .live where machine.isRunning && machine.live[disk.attachment] == nil:
        machine.live[disk.attachment] = named
      case .stored where machine.instance.isPersistent && machine.stored[disk.attachment] == nil:
        machine.stored[disk.attachment] = named
      case .live, .stored: break
      }
      machines[instance] = machine
    }
  }

  func unplug(_ attachment: AttachmentID, from instance: InstanceID, _ half: Half) {
    let wasLive = machines.withLock { machines in
      switch half {
      case .live:
        machines[instance]?.sizes[attachment] = nil
        machines[instance]?.merges[attachment] = nil
        return machines[instance]?.live.removeValue(forKey: attachment) != nil
      case .stored:
        machines[instance]?.stored[attachment] = nil
        return false
      }
    }
    if wasLive { send(.diskRemoved(attachment, instance)) }
  }

  func resize(_ attachment: AttachmentID, of instance: InstanceID, to size: ByteCount) throws(StorageError) {
    try machines.withLock { machines throws(StorageError) in
      guard let machine = machines[instance], !machine.isRunning || machine.live[attachment] != nil else {
        throw StorageError(
          .notFound,
          "Instance \(instance) can't be shown the new size of attachment \(attachment): it has no such disk.")
      }
      guard machine.isRunning else { return }
      machines[instance]?.sizes[attachment] = max(size, machine.sizes[attachment] ?? size)
    }
  }

  func files(besides attachment: AttachmentID) -> Set<String> {
    machines.withLock { machines in
      Set(
        machines.values.flatMap { machine in
          [machine.live, machine.stored].flatMap { disks in
            disks.filter { $0.key != attachment }.values.flatMap { disk in
              if case .image(let image) = disk.source { image.files } else { [] as [String] }
            }
          }
        })
    }
  }

  /// Whether the half that counts, that of an instance which runs, or else the stored one, has the image now.
  func follow(
    _ image: DiskImage, of attachment: AttachmentID, in instance: InstanceID, isMerged: Bool
  ) throws(StorageError) -> Bool {
    let attempt = "Giving attachment \(attachment) of instance \(instance) the image \(image)"
    return try machines.withLock { machines throws(StorageError) in
      guard let machine = machines[instance],
        let disk = machine.isRunning ? machine.live[attachment] : machine.stored[attachment]
      else { throw StorageError(.notFound, "\(attempt) failed: there is no such instance or disk.") }
      guard case .image(let current) = disk.source, let step = LayerStep(from: current, to: image) else {
        throw StorageError(.conflict, "\(attempt) failed: that is not one step from what it has, \(disk.source).")
      }
      switch step {
      case .merge where !machine.isRunning && !isMerged:
        throw StorageError(
          .unsupported, "\(attempt) failed: only a running instance can merge layers, and it is shut off.")
      case .merge where machine.isRunning && machine.merges[attachment] != image:
        machines[instance]?.merges[attachment] = image
        return false
      case .none, .push, .merge:
        machines[instance]?.merges[attachment] = nil
        if machine.isRunning { machines[instance]?.live[attachment]?.source = .image(image) }
        return true
      }
    }
  }

  /// Gives the stored disk the image, if there is one.
  func store(_ image: DiskImage, of attachment: AttachmentID, in instance: InstanceID) {
    machines.withLock { $0[instance]?.stored[attachment]?.source = .image(image) }
  }

  private static func name(for disk: Disk, in machine: Machine) throws(StorageError) -> String {
    let instance = machine.instance.id
    if let present = machine.live[disk.attachment] ?? machine.stored[disk.attachment], let name = present.device {
      guard present.volume == disk.volume else {
        throw StorageError(
          .wrongDevice,
          """
          Instance \(instance) has a disk of attachment \(disk.attachment) already, but its serial is \
          \(present.volume), not \(disk.volume).
          """
        )
      }
      return name
    }
    let taken = Set((machine.live.values.map(\.device) + machine.stored.values.map(\.device)).compactMap(\.self))
    guard let asked = disk.device else { return DiskTarget(firstFreeOn: .virtio, besides: taken).name }
    let name = try DiskTarget(asked: asked).name
    guard !taken.contains(name) else {
      throw StorageError(
        .conflict, "Volume \(disk.volume) can't be plugged as \(name): instance \(instance) has another disk there.")
    }
    return name
  }
}

extension Instance {
  fileprivate func with(_ status: Status) -> Instance {
    Instance(
      id: id, name: name, status: status, isPersistent: isPersistent, vcpus: vcpus, memory: memory)
  }
}
