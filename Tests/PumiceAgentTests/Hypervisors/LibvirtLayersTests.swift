import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Layers under a guest that writes all the while. Against a real libvirtd and QEMU; needs root, ganesha and qemu-img.
@Suite(.serialized, .timeLimit(.minutes(10))) struct LibvirtLayersTests {
  @Test func imagesOnNFSGetAndLoseLayersUnderAGuestThatWrites() async throws {
    try await Bed.with { bed in
      let folder = try bed.folder.folder("export")
      let server = try GaneshaDaemon(in: bed, exports: [.init(path: folder)])
      try await server.start()
      try await withYard(in: bed, folder) { name in
        .nfs(host: server.address, path: "\(folder)/\(name)", user: 0, group: 0)
      } _: { yard in
        let disk = try await yard.layersComeAndGoWhileTheGuestWrites()
        try await yard.anInterruptedCallIsCompleted(disk)
        try await yard.whatIsNotAStepChangesNothing(disk)
        try await yard.aMergeThatTakesLongIsFoundAgain(disk)
        let evil = try await yard.aHeaderThatAGuestWroteIsNotBelieved()
        try await yard.aShutOffInstanceStartsWithItsLayers(disk, evil)
      }
    }
  }

  @Test func imagesInAFolderGetAndLoseLayersUnderAGuestThatWrites() async throws {
    try await Bed.with { bed in
      let folder = try bed.folder.folder("images")
      try await withYard(in: bed, folder) {
        .file(path: "\(folder)/\($0)")
      } _: { yard in
        let disk = try await yard.layersComeAndGoWhileTheGuestWrites()
        try await yard.anInterruptedCallIsCompleted(disk)
        try await yard.aMergeThatTakesLongIsFoundAgain(disk)
        try await yard.aLayerThatLibvirtForgotIsNotForgotten(disk)
        let full = try await bed.makeFileSystem("tmpfs", mebibytes: 4)
        try await yard.aMergeThatFailsSaysWhyAndCanBeRepeated(full)
        try await yard.aGuestPausedOverAnErrorGetsNoLayer(full)
        try await yard.aTransientInstanceHasItsLayersLiveOnly()
      }
    }
  }

  private func withYard(
    in bed: Bed, _ folder: String, place: @escaping @Sendable (String) -> DiskImage.Place,
    _ body: (Yard) async throws -> Void
  ) async throws {
    let libvirt = try LibvirtDaemon(in: bed)
    try await libvirt.start()
    let guest = Guest(image: try await .prepare(in: bed), libvirt: libvirt, in: bed)
    try await guest.start()
    let hypervisor = LibvirtHypervisor(uri: libvirt.uri, removalTimeout: .seconds(20), logger: .silent)
    try await body(
      Yard(bed: bed, libvirt: libvirt, guest: guest, hypervisor: hypervisor, folder: folder, place: place))
  }
}

/// A guest, and a folder in which its disks' files are.
private struct Yard {
  let bed: Bed
  let libvirt: LibvirtDaemon
  let guest: Guest
  let hypervisor: LibvirtHypervisor
  let folder: String
  let place: @Sendable (String) -> DiskImage.Place

  private static let size = ByteCount.mebibytes(32)

  // MARK: Checks

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
      #expect(try await hypervisor.follow(wanted, of: disk.attachment, in: guest.id).isComplete)
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
    #expect(try await !hypervisor.follow(wanted, of: disk.attachment, in: guest.id).isComplete)
    try await expect(disk, has: present)
    try await libvirt.kill9()
    try await libvirt.start()
    try await eventually("libvirt is back") { (try? await hypervisor.disks()) != nil }
    #expect(try await !hypervisor.follow(wanted, of: disk.attachment, in: guest.id).isComplete)
    try await libvirt.virsh("blockjob", guest.name, device, "--bandwidth", "0")
    try await follow(wanted, disk)
    try await expect(disk, has: wanted)
    try await expectWhatWasWritten(to: disk, in: wanted)
  }

  /// A merge by hand that does some of its work and then rests. Returns the disk's name.
  private func beginEndlessMerge(of disk: Disk) async throws -> String {
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
    let number = try #require(try await xml().disk(of: disk.attachment)?.layerNumbers?.first)
    try await libvirt.virsh(
      "qemu-monitor-command", guest.name,
      """
      {"execute": "blockdev-add", "arguments": {"driver": "qcow2", "node-name": "libvirt-90-format", "backing": null,
       "file": {"driver": "file", "node-name": "libvirt-90-storage", "filename": "\(path(wanted.layers[0]))"}}}
      """)
    try await libvirt.virsh(
      "qemu-monitor-command", guest.name,
      """
      {"execute": "blockdev-snapshot", "arguments": {"node": "libvirt-\(number)-format", "overlay": "libvirt-90-format"}}
      """)
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
    for wanted in [image("v.8", "v.3", "v"), image("v.8", "v")] {
      try await follow(wanted, disk)
      try await expect(disk, has: wanted)
    }
    #expect(try await guest.sha256(of: seen, count: Self.size) == hash(of: image("v.8", "v")))
    for disk in [disk, evil] { try await hypervisor.unplug(disk.attachment, from: guest.id) }
    #expect(try await hypervisor.disks().isEmpty)
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

  // MARK: Files

  /// The first is raw if it is the only one, as is the last.
  private func image(_ names: String...) -> DiskImage {
    DiskImage(names.map { DiskImage.Layer(place($0), $0 == names.last ? .raw : .qcow2) })
  }

  private func path(_ layer: DiskImage.Layer) -> String {
    if case .file(let path) = layer.place { path } else { "\(folder)/\(layer.fileName)" }
  }

  private func makeRaw(_ name: String) async throws {
    try await bed.run(["truncate", "-s", "\(Self.size.bytes)", "\(folder)/\(name)"])
  }

  /// Makes the first layer, empty, as a storage node does.
  private func makeOverlay(_ image: DiskImage, _ size: ByteCount = Self.size) async throws {
    let (layer, next) = (image.layers[0], image.layers[1])
    let name = layer.folder == next.folder ? next.fileName : path(next)
    try await bed.run([
      "qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", name, "-F", next.format.rawValue, path(layer),
      "\(size.bytes)",
    ])
  }

  private func resize(_ fileSystem: String, _ size: String) async throws {
    let process = try #require(fileSystem.split(separator: "/").dropFirst().first)
    let mount = "/" + fileSystem.split(separator: "/").dropFirst(3).dropLast().joined(separator: "/")
    try await bed.run(["nsenter", "--mount=/proc/\(process)/ns/mnt", "mount", "-o", "remount,size=\(size)", mount])
  }

  // MARK: What is there

  private func xml(stored: Bool = false) async throws -> DomainXML {
    try DomainXML(try await guest.xml(stored: stored))
  }

  /// Live (if it runs) and stored, and in the headers, by which the files are read here.
  private func expect(_ disk: Disk, has image: DiskImage, _ location: SourceLocation = #_sourceLocation) async throws {
    for stored in [false, true] {
      let found = try #require(try await xml(stored: stored).disk(of: disk.attachment), sourceLocation: location)
      #expect(found.location == .image(image), "\(stored ? "stored" : "live")", sourceLocation: location)
      #expect(found.volume == disk.volume, sourceLocation: location)
    }
    for (layer, next) in zip(image.layers, image.layers.dropFirst()) where layer.folder == next.folder {
      let text = try await bed.run(["qemu-img", "info", "-U", "-f", "qcow2", "--output=json", path(layer)])
      let info = try JSONDecoder().decode(Header.self, from: Data(text.utf8))
      #expect(info == Header(name: next.fileName, format: next.format.rawValue), sourceLocation: location)
    }
  }

  private struct Header: Decodable, Equatable {
    let name: String
    let format: String

    enum CodingKeys: String, CodingKey {
      case name = "backing-filename"
      case format = "backing-filename-format"
    }
  }

  /// The sha256 of the first bytes of a chain, found through its headers.
  private func hash(of image: DiskImage) async throws -> String {
    let copy = bed.folder.file("copy-\(UUID())")
    try await bed.run([
      "qemu-img", "convert", "-U", "-f", image.layers[0].format.rawValue, "-O", "raw", path(image.layers[0]), copy,
    ])
    let output = try await bed.run(["sh", "-c", "head -c \(Self.size.bytes) '\(copy)' | sha256sum; rm '\(copy)'"])
    return String(output.prefix(64))
  }

  private func expectForgery(on disk: Disk) async throws {
    let seen = try await guest.waitForDisk(of: disk.volume, size: Self.size)
    let first = try await guest.run(
      "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/\(seen.name) bs=4096 count=1 2>/dev/null | cmp - /tmp/forged "
        + "|| dd if=/dev/\(seen.name) bs=4 count=1 2>/dev/null")
    // After a restart the guest's own copy is gone; the magic number is that of a qcow2 file.
    #expect(first.isEmpty || first.contains("QFI"), "\(first)")
    let nodes = try await libvirt.virsh(
      "qemu-monitor-command", guest.name, #"{"execute": "query-named-block-nodes", "arguments": {"flat": true}}"#)
    #expect(!nodes.contains("/etc/passwd"))
    #expect(nodes.contains(path(try image(of: disk).layers[0])))
  }

  private func image(of disk: Disk) throws -> DiskImage {
    guard case .image(let image) = disk.source else { throw TestBedFailure("\(disk.source) is no image.") }
    return image
  }

  // MARK: Steps

  private func follow(_ image: DiskImage, _ disk: Disk) async throws {
    try await eventually("\(image) is followed", within: .seconds(60)) {
      do { return try await hypervisor.follow(image, of: disk.attachment, in: guest.id).isComplete } catch {
        Issue.record(error)
        return true
      }
    }
  }

  private func failure(_ image: DiskImage, _ disk: Disk) async -> StorageError? {
    for _ in 0..<20 {
      do throws(StorageError) {
        if try await hypervisor.follow(image, of: disk.attachment, in: guest.id).isComplete { return nil }
      } catch { return error }
    }
    return nil
  }

  private func code(_ image: DiskImage, _ disk: Disk) async -> StorageError.Code? { await failure(image, disk)?.code }

  private func updateStored(_ disk: Disk, to image: DiskImage) async throws {
    let stored = try #require(try await xml(stored: true).disk(of: disk.attachment))
    let file = try bed.folder.write(try stored.having(image).element.serialized(), to: "stored.xml")
    try await libvirt.virsh("update-device", guest.name, file, "--config")
    #expect(try await xml(stored: true).disk(of: disk.attachment)?.location == .image(image))
  }

  // MARK: A guest that writes

  /// Fills the disk and goes on writing pieces here and there, each of them durably, and to a mirror in its memory first.
  private func startWriting(to disk: Guest.Disk) async throws {
    try await guest.run(
      """
      set -e
      dd if=/dev/urandom of=/tmp/mirror bs=1M count=\(Self.size.bytes >> 20) 2>/dev/null
      dd if=/tmp/mirror of=/dev/\(disk.name) bs=1M conv=notrunc,fsync 2>/dev/null
      touch /tmp/writing
      (
        i=0
        while [ -e /tmp/writing ]; do
          dd if=/dev/urandom of=/tmp/piece bs=64k count=1
          at=$((i % \(Self.size.bytes >> 16)))
          dd if=/tmp/piece of=/tmp/mirror bs=64k seek=$at conv=notrunc
          dd if=/tmp/piece of=/dev/\(disk.name) bs=64k seek=$at conv=notrunc,fsync || echo $i >>/tmp/lost
          i=$((i + 37))
          echo $((i / 37)) >/tmp/.count && mv /tmp/.count /tmp/count
        done
        touch /tmp/written
      ) >/dev/null 2>&1 &
      """, within: .seconds(120))
    try await waitForWrites()
  }

  private func writes() async throws -> Int {
    Int(try await guest.run("cat /tmp/count 2>/dev/null || echo 0").trimmingCharacters(in: .whitespacesAndNewlines))
      ?? 0
  }

  private func waitForWrites() async throws {
    let before = try await writes()
    try await eventually("the guest goes on writing", within: .seconds(60)) { try await writes() >= before + 20 }
  }

  private func stopWriting() async throws {
    try await guest.run("rm /tmp/writing; while [ ! -e /tmp/written ]; do sleep 0.1; done; [ ! -e /tmp/lost ]")
  }

  /// The guest, past its cache, and the files themselves have what was written.
  private func expectWhatWasWritten(
    to disk: Disk, in image: DiskImage, _ location: SourceLocation = #_sourceLocation
  ) async throws {
    let mirror = try await guest.run("sha256sum </tmp/mirror").prefix(64)
    let seen = try #require(try await guest.disk(of: disk.volume), sourceLocation: location)
    #expect(try await guest.sha256(of: seen, count: Self.size) == mirror, sourceLocation: location)
    #expect(try await hash(of: image) == mirror, sourceLocation: location)
  }
}
