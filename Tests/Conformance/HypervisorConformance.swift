public import PumiceAgent
public import PumiceModel
import Testing

/// Holds a hypervisor to what `Hypervisor` promises.
///
/// `instance` is a running one with at least four free slots. It has the same disks afterwards as before.
public struct HypervisorConformance: Sendable {
  let hypervisor: any Hypervisor
  let instance: InstanceID
  let takesNames: Bool
  let source: @Sendable (VolumeID) throws -> DiskSource

  /// - Parameters:
  ///   - takesNames: Whether disks get target names, such as an asked-for `vdb`; else the hypervisor has names of its own.
  ///   - source: makes something pluggable, of at least 8 MiB, for a volume; called once for each.
  public init(
    hypervisor: any Hypervisor, instance: InstanceID, takesNames: Bool = true,
    source: @escaping @Sendable (VolumeID) throws -> DiskSource
  ) {
    self.hypervisor = hypervisor
    self.instance = instance
    self.takesNames = takesNames
    self.source = source
  }

  public func check() async throws {
    try await theInstanceIsListed()
    try await pluggingIsIdempotent()
    try await twoAtOnceGetTheirOwnNames()
    try await (takesNames ? anAskedForNameIsGivenOrRefused() : anAskedForNameIsNotUsed())
    try await anotherVolumeUnderTheSameAttachmentIsRefused()
    try await aDiskShowsItsNewSize()
    try await unknownInstancesAndDisksAreNotFound()
    try await unpluggingWhatIsNotThereIsHarmless()
  }

  private func theInstanceIsListed() async throws {
    let listed = try await hypervisor.instances().first { $0.id == instance }
    let found = try #require(listed, "The instance is not listed.")
    #expect(found.status == .active)
    #expect(!found.name.isEmpty)
    #expect(found.vcpus > 0)
  }

  private func pluggingIsIdempotent() async throws {
    let before = try await disksOfInstance()
    let disk = try makeDisk()
    let first = try await hypervisor.plug(disk, into: instance)
    let isPersistent = try await hypervisor.instances().first { $0.id == instance }?.isPersistent
    #expect(first.attachment == disk.attachment)
    #expect(first.volume == disk.volume)
    #expect(first.instance == instance)
    #expect(!takesNames || first.device.hasPrefix("vd"))
    #expect(first.isLive)
    #expect(first.isStored == isPersistent)

    let second = try await hypervisor.plug(disk, into: instance)
    #expect(second == first)
    #expect(try await disksOfInstance().filter { $0.attachment == disk.attachment } == [first])

    try await hypervisor.unplug(disk.attachment, from: instance)
    #expect(try await disksOfInstance() == before)
    try await hypervisor.unplug(disk.attachment, from: instance)

    // What has been unplugged can be plugged again.
    let third = try await hypervisor.plug(disk, into: instance)
    #expect(third == first)
    try await hypervisor.unplug(disk.attachment, from: instance)
    #expect(try await disksOfInstance() == before)
  }

  private func twoAtOnceGetTheirOwnNames() async throws {
    let (one, other) = (try makeDisk(), try makeDisk(readOnly: true))
    async let first = hypervisor.plug(one, into: instance)
    async let second = hypervisor.plug(other, into: instance)
    let plugged = try await [first, second]
    #expect(plugged.map(\.volume) == [one.volume, other.volume])
    #expect(plugged[0].device != plugged[1].device)
    async let firstGone: Void = hypervisor.unplug(one.attachment, from: instance)
    async let secondGone: Void = hypervisor.unplug(other.attachment, from: instance)
    _ = try await (firstGone, secondGone)
    try await expectAbsent(one, other)
  }

  private func anAskedForNameIsGivenOrRefused() async throws {
    let disk = try makeDisk(device: "vdq")
    #expect(try await hypervisor.plug(disk, into: instance).device == "vdq")
    let rival = try makeDisk(device: "vdq")
    await expect(.conflict) { _ = try await hypervisor.plug(rival, into: instance) }
    for name in ["", "vd", "disk7", "vdq/../x", "hda"] {
      let disk = try makeDisk(device: name)
      await expect(.invalid) { _ = try await hypervisor.plug(disk, into: instance) }
    }
    try await expectAbsent(rival)
    try await hypervisor.unplug(disk.attachment, from: instance)
    try await expectAbsent(disk)

    // As OpenStack's clients write it.
    let long = try makeDisk(device: "/dev/vdr")
    #expect(try await hypervisor.plug(long, into: instance).device == "vdr")
    try await hypervisor.unplug(long.attachment, from: instance)
  }

  private func anAskedForNameIsNotUsed() async throws {
    let disk = try makeDisk(device: "vdq")
    let plugged = try await hypervisor.plug(disk, into: instance)
    #expect(plugged.device != "vdq")
    // Its own name, which callers pass on repeats.
    let repeated = Disk(
      attachment: disk.attachment, volume: disk.volume, source: disk.source, device: plugged.device, readOnly: false)
    #expect(try await hypervisor.plug(repeated, into: instance) == plugged)
    try await hypervisor.unplug(disk.attachment, from: instance)
    try await expectAbsent(disk)
  }

  private func anotherVolumeUnderTheSameAttachmentIsRefused() async throws {
    let disk = try makeDisk()
    let plugged = try await hypervisor.plug(disk, into: instance)
    let impostor = try makeDisk(attachment: disk.attachment)
    await expect(.wrongDevice) { _ = try await hypervisor.plug(impostor, into: instance) }
    #expect(try await disksOfInstance().filter { $0.attachment == disk.attachment } == [plugged])
    try await hypervisor.unplug(disk.attachment, from: instance)
  }

  private func aDiskShowsItsNewSize() async throws {
    let disk = try makeDisk()
    _ = try await hypervisor.plug(disk, into: instance)
    try await hypervisor.resize(disk.attachment, of: instance, to: .mebibytes(8))
    try await hypervisor.resize(disk.attachment, of: instance, to: .mebibytes(8))
    // Never shrinks, and does not complain.
    try await hypervisor.resize(disk.attachment, of: instance, to: .mebibytes(4))
    try await hypervisor.unplug(disk.attachment, from: instance)
    await expect(.notFound) { try await hypervisor.resize(disk.attachment, of: instance, to: .mebibytes(8)) }
  }

  private func unknownInstancesAndDisksAreNotFound() async throws {
    let (disk, stranger) = (try makeDisk(), InstanceID.random())
    await expect(.notFound) { _ = try await hypervisor.plug(disk, into: stranger) }
    await expect(.notFound) { try await hypervisor.resize(disk.attachment, of: stranger, to: .mebibytes(8)) }
    try await expectAbsent(disk)
  }

  private func unpluggingWhatIsNotThereIsHarmless() async throws {
    let before = try await hypervisor.disks()
    try await hypervisor.unplug(.random(), from: instance)
    try await hypervisor.unplug(.random(), from: .random())
    #expect(Set(try await hypervisor.disks().map(\.attachment)) == Set(before.map(\.attachment)))
  }

  // MARK: Parts

  private func makeDisk(
    attachment: AttachmentID = .random(), device: String? = nil, readOnly: Bool = false
  ) throws -> Disk {
    let volume = VolumeID.random()
    return Disk(
      attachment: attachment, volume: volume, source: try source(volume), device: device, readOnly: readOnly)
  }

  private func disksOfInstance() async throws -> [PluggedDisk] {
    try await hypervisor.disks().filter { $0.instance == instance }.sorted { $0.attachment < $1.attachment }
  }

  private func expectAbsent(_ disks: Disk...) async throws {
    let present = Set(try await hypervisor.disks().map(\.attachment))
    for disk in disks { #expect(!present.contains(disk.attachment)) }
  }

  private func expect(_ code: StorageError.Code, _ body: () async throws -> Void) async {
    do {
      try await body()
      Issue.record("Expected the error \(code), but nothing was thrown.")
    } catch let error as StorageError {
      #expect(error.code == code, "\(error)")
    } catch {
      Issue.record("Expected the error \(code), got \(error).")
    }
  }
}
