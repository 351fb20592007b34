public import PumiceModel
public import PumiceWire

/// Instances that are entries of a dictionary: for simulations, tests and a fleet on a laptop.
///
/// It keeps nothing itself: everything is in its world, which outlives it as a hypervisor outlives an agent. It knows
/// no time and starts no tasks, so that a run can be repeated exactly. Every kind of `DiskSource` will do; it is only
/// noted.
public final class InMemoryHypervisor: QuiescingHypervisor, LayeringHypervisor {
  /// Awaited with a name before each step that changes something, and after the last: `plug`, `plug.live`, `plug.done`,
  /// `unplug`, `unplug.live`, `unplug.done`, `resize`, `resize.done`, `follow`, `follow.stored`, `follow.done`, `freeze`, `freeze.done`, `thaw`, `thaw.done`, `instances`, `disks`. To delay, to fail, to
  /// crash.
  public typealias Fault = @Sendable (_ step: String) async throws(StorageError) -> Void

  public let world: InMemoryHypervisorWorld
  private let fault: Fault?
  private let hub = HypervisorEventHub()

  public init(world: InMemoryHypervisorWorld, fault: Fault? = nil) {
    self.world = world
    self.fault = fault
    world.tell(hub)
  }

  public convenience init(instances: [Instance], fault: Fault? = nil) {
    self.init(world: InMemoryHypervisorWorld(instances: instances), fault: fault)
  }

  public var kind: String { "memory" }

  public func instances() async throws(StorageError) -> [Instance] {
    try await reach("instances")
    return world.instances
  }

  public func disks() async throws(StorageError) -> [PluggedDisk] {
    try await reach("disks")
    return world.pluggedDisks
  }

  public func plug(_ disk: Disk, into instance: InstanceID) async throws(StorageError) -> PluggedDisk {
    try await reach("plug")
    try world.plug(disk, into: instance, .stored)
    try await reach("plug.live")
    try world.plug(disk, into: instance, .live)
    try await reach("plug.done")
    guard let plugged = world.pluggedDisk(disk.attachment, in: instance) else {
      throw StorageError(
        .failed, "Volume \(disk.volume) was plugged into instance \(instance), but it is not there afterwards.")
    }
    return plugged
  }

  public func unplug(_ attachment: AttachmentID, from instance: InstanceID) async throws(StorageError) {
    try await reach("unplug")
    world.unplug(attachment, from: instance, .stored)
    try await reach("unplug.live")
    world.unplug(attachment, from: instance, .live)
    try await reach("unplug.done")
  }

  public func resize(
    _ attachment: AttachmentID, of instance: InstanceID, to size: ByteCount
  ) async throws(StorageError) {
    try await reach("resize")
    try world.resize(attachment, of: instance, to: size)
    try await reach("resize.done")
  }

  /// A merge takes two calls: one that begins it, and one that finds it done.
  public func follow(
    _ image: DiskImage, of attachment: AttachmentID, in instance: InstanceID, isMerged: Bool
  ) async throws(StorageError) -> Progress {
    let image = try image.checked()
    try await reach("follow")
    guard try world.follow(image, of: attachment, in: instance, isMerged: isMerged) else { return Progress(done: 0.5) }
    try await reach("follow.stored")
    world.store(image, of: attachment, in: instance)
    try await reach("follow.done")
    return .complete
  }

  public func files(besides attachment: AttachmentID) async throws(StorageError) -> Set<String> {
    try await reach("files")
    return world.files(besides: attachment)
  }

  public func freeze(_ instance: InstanceID, within limit: Duration) async throws(StorageError) -> Int {
    try await reach("freeze")
    let count = try world.freeze(instance)
    try await reach("freeze.done")
    return count
  }

  public func thaw(_ instance: InstanceID) async throws(StorageError) -> Int {
    try await reach("thaw")
    let count = try world.thaw(instance)
    try await reach("thaw.done")
    return count
  }

  public func events() -> AsyncStream<HypervisorEvent> { hub.events() }

  private func reach(_ step: String) async throws(StorageError) {
    if let fault { try await fault(step) }
  }
}
