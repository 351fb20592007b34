import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// A guest, and a folder in which its disks' files are.
struct LayerYard {
  let bed: Bed
  let libvirt: LibvirtDaemon
  let guest: Guest
  let hypervisor: LibvirtHypervisor
  let folder: String
  let place: @Sendable (String) -> DiskImage.Place

  static let size = ByteCount.mebibytes(32)

  // MARK: Files

  /// The first is raw if it is the only one, as is the last.
  func image(_ names: String...) -> DiskImage {
    DiskImage(names.map { DiskImage.Layer(place($0), $0 == names.last ? .raw : .qcow2) })
  }

  func path(_ layer: DiskImage.Layer) -> String {
    if case .file(let path) = layer.place { path } else { "\(folder)/\(layer.fileName)" }
  }

  func makeRaw(_ name: String) async throws {
    try await bed.run(["truncate", "-s", "\(Self.size.bytes)", "\(folder)/\(name)"])
  }

  /// Makes the first layer, empty, as a storage node does.
  func makeOverlay(_ image: DiskImage, _ size: ByteCount = Self.size) async throws {
    let (layer, next) = (image.layers[0], image.layers[1])
    let name = layer.folder == next.folder ? next.fileName : path(next)
    try await bed.run([
      "qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", name, "-F", next.format.rawValue, path(layer),
      "\(size.bytes)",
    ])
  }

  func resize(_ fileSystem: String, _ size: String) async throws {
    let process = try #require(fileSystem.split(separator: "/").dropFirst().first)
    let mount = "/" + fileSystem.split(separator: "/").dropFirst(3).dropLast().joined(separator: "/")
    try await bed.run(["nsenter", "--mount=/proc/\(process)/ns/mnt", "mount", "-o", "remount,size=\(size)", mount])
  }

  // MARK: What is there

  func xml(stored: Bool = false) async throws -> DomainXML { try DomainXML(try await guest.xml(stored: stored)) }

  /// Live (if it runs) and stored, and in the headers, by which the files are read here.
  func expect(_ disk: Disk, has image: DiskImage, _ location: SourceLocation = #_sourceLocation) async throws {
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

  struct Header: Decodable, Equatable {
    let name: String
    let format: String

    enum CodingKeys: String, CodingKey {
      case name = "backing-filename"
      case format = "backing-filename-format"
    }
  }

  /// The sha256 of the first bytes of a chain, found through its headers.
  func hash(of image: DiskImage) async throws -> String {
    let copy = bed.folder.file("copy-\(UUID())")
    try await bed.run([
      "qemu-img", "convert", "-U", "-f", image.layers[0].format.rawValue, "-O", "raw", path(image.layers[0]), copy,
    ])
    let output = try await bed.run(["sh", "-c", "head -c \(Self.size.bytes) '\(copy)' | sha256sum; rm '\(copy)'"])
    return String(output.prefix(64))
  }

  func expectForgery(on disk: Disk) async throws {
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

  func image(of disk: Disk) throws -> DiskImage {
    guard case .image(let image) = disk.source else { throw TestBedFailure("\(disk.source) is no image.") }
    return image
  }

  // MARK: Steps

  func follow(_ image: DiskImage, _ disk: Disk) async throws {
    try await eventually("\(image) is followed", within: .seconds(60)) {
      do {
        return try await hypervisor.follow(image, of: disk.attachment, in: guest.id, isMerged: false).isComplete
      } catch {
        Issue.record(error)
        return true
      }
    }
  }

  func failure(_ image: DiskImage, _ disk: Disk) async -> StorageError? {
    for _ in 0..<20 {
      do throws(StorageError) {
        if try await hypervisor.follow(image, of: disk.attachment, in: guest.id, isMerged: false).isComplete {
          return nil
        }
      } catch { return error }
    }
    return nil
  }

  func code(_ image: DiskImage, _ disk: Disk) async -> StorageError.Code? { await failure(image, disk)?.code }

  func updateStored(_ disk: Disk, to image: DiskImage) async throws {
    let stored = try #require(try await xml(stored: true).disk(of: disk.attachment))
    let file = try bed.folder.write(try stored.having(image).element.serialized(), to: "stored.xml")
    try await libvirt.virsh("update-device", guest.name, file, "--config")
    #expect(try await xml(stored: true).disk(of: disk.attachment)?.location == .image(image))
  }
}
