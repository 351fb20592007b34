import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

extension LayerYard {
  func thePortsPromisesAreKept() async throws {
    try await makeRaw("c")
    try await LayeringConformance(hypervisor: hypervisor, instance: guest.id, base: image("c")) { name, behind in
      let layer = DiskImage.Layer(place("c.\(name)"), .qcow2)
      try await makeOverlay(DiskImage([layer] + behind.layers))
      return layer
    }.check()
  }

  /// Leaves the disk attached, with the image `v.2` over `v`.
  func layersComeAndGoWhileTheGuestWrites() async throws -> Disk {
    try await makeRaw("v")
    let disk = Disk.make(source: .image(image("v")))
    let plugged = try await hypervisor.plug(disk, into: guest.id)
    try await expect(disk, has: image("v"))
    let seen = try await guest.waitForDisk(of: disk.volume, size: Self.size)
    try await startWriting(to: seen)

    for wanted in [image("v.1", "v"), image("v.2", "v.1", "v"), image("v.3", "v.2", "v.1", "v")] {
      try await makeOverlay(wanted)
      try await follow(wanted, disk)
      try await expect(disk, has: wanted)
      #expect(try await hypervisor.follow(wanted, of: disk.attachment, in: guest.id, isMerged: false).isComplete)
      try await waitForWrites()
    }
    // Next to the last and next to the first: into a raw file and into a qcow2 file, below layers that are not written to.
    for wanted in [image("v.3", "v.2", "v"), image("v.3", "v")] {
      try await follow(wanted, disk)
      try await expect(disk, has: wanted)
      try await waitForWrites()
    }
    try await makeOverlay(image("v.4", "v.3", "v"))
    try await follow(image("v.4", "v.3", "v"), disk)
    try await hypervisor.resize(disk.attachment, of: guest.id, to: .mebibytes(48))
    try await waitForWrites()
    try await stopWriting()
    #expect(try await hypervisor.disks() == [plugged], "Alias, serial and name are the disk's own.")
    #expect(try await hypervisor.plug(disk, into: guest.id) == plugged, "What is there stays as it is.")
    try await expect(disk, has: image("v.4", "v.3", "v"))
    _ = try await guest.waitForDisk(of: disk.volume, size: .mebibytes(48))
    try await expectWhatWasWritten(to: disk, in: image("v.4", "v.3", "v"))
    return disk
  }

  /// What an agent, or a libvirtd, leaves that ends between two steps.
  func anInterruptedCallIsCompleted(_ disk: Disk) async throws {
    // Live has it, and stored has not.
    try await updateStored(disk, to: image("v.3", "v"))
    try await follow(image("v.4", "v.3", "v"), disk)
    try await expect(disk, has: image("v.4", "v.3", "v"))
    // Stored is behind, and live is about to go further.
    try await updateStored(disk, to: image("v.3", "v"))
    let wanted = image("v.5", "v.4", "v.3", "v")
    try await makeOverlay(wanted, .mebibytes(48))
    try await follow(wanted, disk)
    try await expect(disk, has: wanted)
    // The merge had begun, or ended, without anybody who watched it.
    let live = try #require(try await xml().disk(of: disk.attachment))
    let (device, numbers) = (try #require(live.device), try #require(live.layerNumbers))
    try await libvirt.virsh(
      "blockcommit", guest.name, device, "--top", "\(device)[\(numbers[1])]", "--base", "\(device)[\(numbers[2])]")
    try await follow(image("v.5", "v.3", "v"), disk)
    try await expect(disk, has: image("v.5", "v.3", "v"))
    try await expectWhatWasWritten(to: disk, in: image("v.5", "v.3", "v"))
  }

  /// A merge goes on without its agent and without its libvirtd, and a repeat finds it.
  func aMergeThatTakesLongIsFoundAgain(_ disk: Disk) async throws {
    let present = image("v.6", "v.5", "v.3", "v")
    try await makeOverlay(present, .mebibytes(48))
    let seen = try #require(try await guest.disk(of: disk.volume))
    try await guest.run("dd if=/tmp/mirror of=/dev/\(seen.name) bs=1M conv=notrunc,fsync 2>&1")
    try await follow(present, disk)
    let device = try await beginEndlessMerge(of: disk)
    let wanted = image("v.6", "v.3", "v")
    #expect(try await !hypervisor.follow(wanted, of: disk.attachment, in: guest.id, isMerged: false).isComplete)
    try await expect(disk, has: present)
    let error = await #expect(throws: StorageError.self) {
      try await hypervisor.resize(disk.attachment, of: guest.id, to: .mebibytes(64))
    }
    #expect(error?.code == .inUse, "\(error?.description ?? "")")
    try await libvirt.kill9()
    try await libvirt.start()
    try await eventually("libvirt is back") { (try? await hypervisor.disks()) != nil }
    #expect(try await !hypervisor.follow(wanted, of: disk.attachment, in: guest.id, isMerged: false).isComplete)
    try await libvirt.virsh("blockjob", guest.name, device, "--bandwidth", "0")
    try await follow(wanted, disk)
    try await expect(disk, has: wanted)
    try await expectWhatWasWritten(to: disk, in: wanted)
  }

  /// A merge by hand that does some of its work and then rests. Returns the disk's name.
  func beginEndlessMerge(of disk: Disk) async throws -> String {
    let live = try #require(try await xml().disk(of: disk.attachment))
    let (device, numbers) = (try #require(live.device), try #require(live.layerNumbers))
    try await libvirt.virsh(
      "blockcommit", guest.name, device, "--top", "\(device)[\(numbers[1])]", "--base", "\(device)[\(numbers[2])]",
      "--bandwidth", "1", "--bytes")
    return device
  }

  /// What a libvirtd leaves that dies between QEMU's going over to a new layer and its own knowing of it.
  func aLayerThatLibvirtForgotIsNotForgotten(_ disk: Disk) async throws {
    let wanted = image("v.9", "v.6", "v.3", "v")
    try await makeOverlay(wanted, .mebibytes(48))
    try await forget(wanted, disk)
    for _ in 0..<2 {
      let error = await failure(wanted, disk)
      #expect(
        error?.code == .conflict && error?.message.contains("libvirt does not know") == true, "\(error?.message ?? "")")
    }
    #expect(try await xml(stored: true).disk(of: disk.attachment)?.location == .image(wanted), "The next start has it.")
    try await guest.powerOff()
    try await guest.boot()
    try await expect(disk, has: wanted)
    for image in [wanted, image("v.9", "v.3", "v")] { try await follow(image, disk) }
    let seen = try await guest.waitForDisk(of: disk.volume, size: .mebibytes(48))
    #expect(try await guest.sha256(of: seen, count: Self.size) == hash(of: image("v.9", "v.3", "v")))
  }

  /// QEMU writes to the layer then, and the disk goes: nobody has its files open any more.
  func aDiskWithALayerThatLibvirtForgotIsLetGo() async throws {
    try await makeRaw("f")
    let disk = Disk.make(source: .image(image("f")))
    _ = try await hypervisor.plug(disk, into: guest.id)
    let seen = try await guest.waitForDisk(of: disk.volume, size: Self.size)
    let wanted = image("f.1", "f")
    try await makeOverlay(wanted)
    // It died before QEMU went over to the layer, and it died afterwards.
    try await open(wanted.layers[0])
    try await follow(wanted, disk)
    try await expect(disk, has: wanted)
    let next = image("f.2", "f.1", "f")
    try await makeOverlay(next)
    try await forget(next, disk)
    let written = try await guest.writeRandom(.mebibytes(2), to: seen)
    #expect(await code(next, disk) == .conflict)

    try await hypervisor.unplug(disk.attachment, from: guest.id)
    try await guest.waitUntilUnplugged(disk.volume)
    let nodes = try await libvirt.virsh(
      "qemu-monitor-command", guest.name, #"{"execute": "query-named-block-nodes", "arguments": {"flat": true}}"#)
    for layer in next.layers { #expect(!nodes.contains(path(layer)), "\(layer)") }
    let again = Disk.make(source: .image(next))
    _ = try await hypervisor.plug(again, into: guest.id)
    try await expect(again, has: next)
    let seenAgain = try await guest.waitForDisk(of: again.volume, size: Self.size)
    #expect(try await guest.sha256(of: seenAgain, count: .mebibytes(2)) == written)
    try await hypervisor.unplug(again.attachment, from: guest.id)
  }

  /// What a libvirtd leaves that dies between QEMU's ending a merge and its own knowing of that.
  func aMergeThatLibvirtForgotIsNotForgotten() async throws {
    try await makeRaw("g")
    let disk = Disk.make(source: .image(image("g")))
    _ = try await hypervisor.plug(disk, into: guest.id)
    let seen = try await guest.waitForDisk(of: disk.volume, size: Self.size)
    for wanted in [image("g.1", "g"), image("g.2", "g.1", "g"), image("g.3", "g.2", "g.1", "g")] {
      try await makeOverlay(wanted)
      try await follow(wanted, disk)
      _ = try await guest.writeRandom(.mebibytes(2), to: seen, at: .mebibytes(wanted.layers.count))
    }
    let before = try await guest.sha256(of: seen, count: Self.size)
    let numbers = try #require(try await xml().disk(of: disk.attachment)?.layerNumbers)
    try await libvirt.virsh(
      "qemu-monitor-command", guest.name,
      """
      {"execute": "block-commit", "arguments": {"job-id": "forgotten", "device": "libvirt-\(numbers[0])-format",
       "top-node": "libvirt-\(numbers[2])-format", "base-node": "libvirt-\(numbers[3])-format"}}
      """)
    try await eventually("QEMU has merged it") {
      try await !libvirt.virsh("qemu-monitor-command", guest.name, #"{"execute": "query-jobs"}"#).contains("forgotten")
    }

    let merged = image("g.3", "g.2", "g")
    for _ in 0..<2 { try await follow(merged, disk) }
    #expect(try await xml(stored: true).disk(of: disk.attachment)?.location == .image(merged), "The next start has it.")
    #expect(try await hash(of: merged) == before)
    let grown = image("g.4", "g.3", "g.2", "g")
    try await makeOverlay(grown)
    try await follow(grown, disk)
    // With those around it, libvirt forgets what was in between.
    try await follow(image("g.4", "g.3", "g"), disk)
    try await expect(disk, has: image("g.4", "g.3", "g"))
    #expect(try await guest.sha256(of: seen, count: Self.size) == before)
    try await hypervisor.unplug(disk.attachment, from: guest.id)
    #expect(try await hash(of: image("g.4", "g.3", "g")) == before)
  }

  /// Has QEMU open a layer as libvirt would that is about to put it in front.
  private func open(_ layer: DiskImage.Layer) async throws {
    try await libvirt.virsh(
      "qemu-monitor-command", guest.name,
      """
      {"execute": "blockdev-add", "arguments": {"driver": "qcow2", "node-name": "libvirt-90-format", "backing": null,
       "file": {"driver": "file", "node-name": "libvirt-90-storage", "filename": "\(path(layer))"}}}
      """)
  }

  /// Has QEMU go over to the first layer without libvirt's knowing.
  private func forget(_ image: DiskImage, _ disk: Disk) async throws {
    let number = try #require(try await xml().disk(of: disk.attachment)?.layerNumbers?.first)
    try await open(image.layers[0])
    try await libvirt.virsh(
      "qemu-monitor-command", guest.name,
      """
      {"execute": "blockdev-snapshot", "arguments": {"node": "libvirt-\(number)-format", "overlay": "libvirt-90-format"}}
      """)
  }

  func whatIsNotAStepChangesNothing(_ disk: Disk) async throws {
    let present = image("v.5", "v.3", "v")
    #expect(await code(image("v.3", "v"), disk) == .conflict, "The guest writes to the first.")
    #expect(await code(image("v.5", "v"), .make()) == .notFound)
    #expect(await code(image("v.7", "v.5", "v.3", "v"), disk) == .failed, "There is no such file.")
    try await makeOverlay(image("v.6", "v.5", "v.3", "v"), .mebibytes(16))
    #expect(await code(image("v.6", "v.5", "v.3", "v"), disk) == .conflict, "It is too small.")
    try await makeRaw("v.7")
    #expect(await code(image("v.7", "v.5", "v.3", "v"), disk) == .failed, "It is no qcow2.")
    try await expect(disk, has: present)
  }
}
