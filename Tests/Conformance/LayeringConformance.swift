public import PumiceAgent
public import PumiceModel
import PumiceWire
import Testing

/// Holds a hypervisor to what `LayeringHypervisor` promises.
///
/// `instance` is a running one with a free slot, and has the same disks afterwards as before.
public struct LayeringConformance: Sendable {
  let hypervisor: any LayeringHypervisor
  let instance: InstanceID
  let base: DiskImage
  let layer: @Sendable (_ name: String, _ behind: DiskImage) async throws -> DiskImage.Layer

  /// - Parameters:
  ///   - base: An image of one raw layer, of at least 8 MiB.
  ///   - layer: Makes an empty layer of this name for the front of an image.
  public init(
    hypervisor: any LayeringHypervisor, instance: InstanceID, base: DiskImage,
    layer: @escaping @Sendable (_ name: String, _ behind: DiskImage) async throws -> DiskImage.Layer
  ) {
    self.hypervisor = hypervisor
    self.instance = instance
    self.base = base
    self.layer = layer
  }

  public func check() async throws {
    let disk = Disk(
      attachment: .random(), volume: .random(), source: .image(base), device: nil, readOnly: false)
    let plugged = try await hypervisor.plug(disk, into: instance)
    let one = try await push("one", before: base, disk)
    let two = try await push("two", before: one, disk)
    #expect(await code(base, disk.attachment) == .conflict, "Two layers less, one of them the first.")
    #expect(await code(one, disk.attachment) == .conflict, "The first layer is never given up.")
    let three = try await push("three", before: two, disk)
    #expect(await code(DiskImage([three.layers[0]] + base.layers), disk.attachment) == .conflict, "Two at once.")
    let merged = DiskImage(three.layers.prefix(2) + base.layers)
    try await follow(merged, disk)
    try await follow(DiskImage(three.layers.prefix(1) + base.layers), disk)
    #expect(await code(three, disk.attachment) == .conflict, "What has gone does not come back.")
    #expect(await code(merged, .random()) == .notFound)
    #expect(await code(merged, disk.attachment, in: .random()) == .notFound)
    #expect(await code(DiskImage([]), disk.attachment) == .invalid)

    #expect(try await hypervisor.disks().filter { $0.attachment == disk.attachment } == [plugged])
    #expect(try await hypervisor.plug(disk, into: instance) == plugged, "What is there stays as it is.")
    #expect(await code(base, disk.attachment) == .conflict)
    try await hypervisor.unplug(disk.attachment, from: instance)
    #expect(await code(base, disk.attachment) == .notFound)
  }

  private func push(_ name: String, before image: DiskImage, _ disk: Disk) async throws -> DiskImage {
    let wanted = DiskImage([try await layer(name, image)] + image.layers)
    try await follow(wanted, disk)
    return wanted
  }

  private func follow(_ image: DiskImage, _ disk: Disk) async throws {
    var last = 0.0
    while true {
      let progress = try await hypervisor.follow(image, of: disk.attachment, in: instance, isMerged: false)
      #expect(progress.done >= last && progress.done <= 1)
      last = progress.done
      if progress.isComplete { break }
    }
    #expect(try await hypervisor.follow(image, of: disk.attachment, in: instance, isMerged: false).isComplete)
  }

  private func code(
    _ image: DiskImage, _ attachment: AttachmentID, in instance: InstanceID? = nil
  ) async -> StorageError.Code? {
    do throws(StorageError) {
      _ = try await hypervisor.follow(image, of: attachment, in: instance ?? self.instance, isMerged: false)
      return nil
    } catch { return error.code }
  }
}
