import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// With guests that stop, and disks that are full.
extension LayerYard {
  /// Gives a disk whose first bytes say that it is a qcow2 file with /etc/passwd behind it.
  func aHeaderThatAGuestWroteIsNotBelieved() async throws -> Disk {
    try await makeRaw("evil")
    let disk = Disk.make(source: .image(image("evil")))
    _ = try await hypervisor.plug(disk, into: guest.id)
    let seen = try await guest.waitForDisk(of: disk.volume, size: Self.size)
    let forged = bed.folder.file("forged")
    try await bed.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", forged, "1M"])
    let header = try Data(contentsOf: URL(filePath: forged)).prefix(4096).base64EncodedString()
    try await guest.run(
      "echo '\(header)' | base64 -d >/tmp/forged && dd if=/tmp/forged of=/dev/\(seen.name) conv=notrunc,fsync 2>&1")
    try await expectForgery(on: disk)

    try await hypervisor.unplug(disk.attachment, from: guest.id)
    try await guest.waitUntilUnplugged(disk.volume)
    _ = try await hypervisor.plug(disk, into: guest.id)
    try await expect(disk, has: image("evil"))
    try await expectForgery(on: disk)

    try await makeOverlay(image("evil.1", "evil"))
    try await follow(image("evil.1", "evil"), disk)
    try await expect(disk, has: image("evil.1", "evil"))
    try await expectForgery(on: disk)
    return disk
  }

  func aShutOffInstanceStartsWithItsLayers(_ disk: Disk, _ evil: Disk) async throws {
    _ = try await beginEndlessMerge(of: disk)
    try await guest.powerOff()
    try await expect(disk, has: image("v.6", "v.3", "v"))
    #expect(await code(image("v.6", "v"), disk) == .unsupported, "Only QEMU can merge.")
    try await makeOverlay(image("v.8", "v.6", "v.3", "v"), .mebibytes(48))
    for _ in 0..<2 { try await follow(image("v.8", "v.6", "v.3", "v"), disk) }
    try await expect(disk, has: image("v.8", "v.6", "v.3", "v"))

    try await guest.boot()
    try await expect(disk, has: image("v.8", "v.6", "v.3", "v"))
    try await expect(evil, has: image("evil.1", "evil"))
    try await expectForgery(on: evil)
    let seen = try await guest.waitForDisk(of: disk.volume, size: .mebibytes(48))
    #expect(try await guest.sha256(of: seen, count: Self.size) == hash(of: image("v.8", "v.6", "v.3", "v")))
    try await follow(image("v.8", "v.3", "v"), disk)
    try await expect(disk, has: image("v.8", "v.3", "v"))
    let hash = try await guest.sha256(of: seen, count: Self.size)
    // Its libvirtd died before it wrote down that the layer was merged.
    try await guest.powerOff()
    try await updateStored(disk, to: image("v.8", "v.6", "v.3", "v"))
    let merged = image("v.8", "v.3", "v")
    #expect(try await hypervisor.follow(merged, of: disk.attachment, in: guest.id, isMerged: true).isComplete)
    try await guest.boot()
    try await expect(disk, has: merged)
    let again = try await guest.waitForDisk(of: disk.volume, size: .mebibytes(48))
    #expect(try await guest.sha256(of: again, count: Self.size) == hash)
    // A merge that is under way holds up no detachment, and leaves the chain as it was.
    _ = try await beginEndlessMerge(of: disk)
    for disk in [disk, evil] { try await hypervisor.unplug(disk.attachment, from: guest.id) }
    #expect(try await hypervisor.disks().isEmpty)
    #expect(try await self.hash(of: image("v.8", "v.3", "v")) == hash)
  }

  /// A base on a file system that has no room for what has been written above it.
  func aMergeThatFailsSaysWhyAndCanBeRepeated(_ full: String) async throws {
    let base = DiskImage.Layer(.file(path: "\(full)/base"), .raw)
    try await bed.run(["truncate", "-s", "\(Self.size.bytes)", "\(full)/base"])
    let disk = Disk.make(source: .image(DiskImage([base])))
    _ = try await hypervisor.plug(disk, into: guest.id)
    let seen = try await guest.waitForDisk(of: disk.volume, size: Self.size)
    let (one, two) = (DiskImage.Layer(place("m.1"), .qcow2), DiskImage.Layer(place("m.2"), .qcow2))
    for wanted in [DiskImage([one, base]), DiskImage([two, one, base])] {
      try await makeOverlay(wanted)
      try await follow(wanted, disk)
      if wanted.layers.first == one { _ = try await guest.writeRandom(.mebibytes(8), to: seen) }
    }
    let before = try await guest.sha256(of: seen, count: Self.size)
    let error = await failure(DiskImage([two, base]), disk)
    #expect(error?.code == .noSpace, "\(error?.description ?? "")")
    #expect(error?.message.contains("No space left on device") == true, "\(error?.message ?? "")")
    try await expect(disk, has: DiskImage([two, one, base]))
    #expect(try await guest.sha256(of: seen, count: Self.size) == before)

    try await resize(full, "64m")
    try await follow(DiskImage([two, base]), disk)
    try await expect(disk, has: DiskImage([two, base]))
    #expect(try await guest.sha256(of: seen, count: Self.size) == before)
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    try await bed.run(["rm", "\(full)/base"])
  }

  func aGuestPausedOverAnErrorGetsNoLayer(_ full: String) async throws {
    try await resize(full, "4m")
    let base = DiskImage.Layer(.file(path: "\(full)/paused"), .raw)
    try await bed.run(["truncate", "-s", "\(Self.size.bytes)", "\(full)/paused"])
    let disk = Disk.make(source: .image(DiskImage([base])))
    _ = try await hypervisor.plug(disk, into: guest.id)
    let seen = try await guest.waitForDisk(of: disk.volume, size: Self.size)
    async let written = guest.writeRandom(.mebibytes(8), to: seen)
    try await eventually("the guest is paused") {
      try await hypervisor.instances().first { $0.id == guest.id }?.status == .paused
    }
    let wanted = DiskImage([.init(place("p.1"), .qcow2), base])
    try await makeOverlay(wanted)
    let error = await failure(wanted, disk)
    #expect(error?.code == .unsupported && error?.message.contains("I/O error") == true, "\(error?.message ?? "")")
    try await expect(disk, has: DiskImage([base]))

    try await resize(full, "64m")
    try await libvirt.virsh("resume", guest.name)
    let hash = try await written
    try await follow(wanted, disk)
    try await expect(disk, has: wanted)
    #expect(try await guest.sha256(of: seen, count: .mebibytes(8)) == hash)
    try await hypervisor.unplug(disk.attachment, from: guest.id)
  }

  func aTransientInstanceHasItsLayersLiveOnly() async throws {
    try await libvirt.virsh("undefine", guest.name)
    try await makeRaw("t")
    let disk = Disk.make(source: .image(image("t")))
    let plugged = try await hypervisor.plug(disk, into: guest.id)
    #expect(plugged.isLive && !plugged.isStored)
    for wanted in [image("t.1", "t"), image("t.2", "t.1", "t")] {
      try await makeOverlay(wanted)
      try await follow(wanted, disk)
    }
    try await follow(image("t.2", "t"), disk)
    #expect(try await xml().disk(of: disk.attachment)?.location == .image(image("t.2", "t")))
    #expect(try await hypervisor.disks().contains(plugged))
  }
}
