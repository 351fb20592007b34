import Foundation
import PumiceModel
import PumiceWire
import TestBed

@testable import PumiceAgent

/// What volumes and snapshots show, each 64 KiB as its one byte.
struct PaintedContent: Equatable {
  var volumes: [VolumeID: [UInt8]] = [:]
  var snapshots: [SnapshotID: [UInt8]] = [:]

  static let cluster: Int64 = 64 << 10

  /// One after the other: so many clusters of a byte.
  static func bytes(_ parts: (Int, UInt8)...) -> [UInt8] { parts.flatMap { [UInt8](repeating: $1, count: $0) } }
}

/// The files of a share, seen by QEMU's own tools.
extension NFSFixture {
  /// As a guest would that has just opened the volume.
  func paint(_ byte: UInt8, _ clusters: Range<Int>, of id: VolumeID, by backend: NFSBackend) async throws {
    let active = try await backend.image(of: id, pool: pool, inUse: false).layers[0]
    try await paint(byte, clusters, active.name, active.format)
  }

  func paint(_ byte: UInt8, _ clusters: Range<Int>, _ layer: String, _ format: SharedImage.Format) async throws {
    let (start, count) = (clusters.lowerBound * 64, clusters.count * 64)
    try await bed.run([
      "qemu-io", "-f", format.rawValue, "-c", "write -P \(byte) \(start)k \(count)k", "\(path)/\(layer)",
    ])
  }

  func description(of id: VolumeID) throws -> NFSVolume? {
    FileManager.default.contents(atPath: "\(path)/\(FileNames(id).sidecar)").flatMap { NFSVolume(Array($0), of: id) }
  }

  func descriptions() throws -> [NFSVolume] {
    try files().compactMap { name in
      guard case (let names, .sidecar)? = FileNames.role(of: name), case .volume(let id) = names.owner else {
        return nil
      }
      guard let volume = try description(of: id) else { throw TestBedFailure("\(name) can't be read.") }
      return volume
    }
  }

  /// What all volumes and snapshots show, by the headers of their files.
  func look() async throws -> PaintedContent {
    let folder = try bed.folder.folder("look-\(UInt64.random(in: 0 ... .max))")
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let volumes = try descriptions().filter(\.isWhole)
    let layers = Set(volumes.flatMap { volume in [volume.active] + volume.snapshots.map(\.layer) })
    var script = "set -e\n"
    for volume in volumes {
      for layer in volume.layers where layers.contains(layer.name) {
        script +=
          "qemu-img convert -f \(layer.format.rawValue) -O raw '\(path)/\(layer.name)' '\(folder)/\(layer.name)'\n"
      }
    }
    try await bed.run(["sh", "-c", script])
    func read(_ layer: String, _ size: ByteCount) throws -> [UInt8] {
      let bytes = try Data(contentsOf: URL(filePath: "\(folder)/\(layer)"))
      return try bytes.withUnsafeBytes { bytes throws -> [UInt8] in
        try stride(from: 0, to: Int(size.bytes), by: Int(PaintedContent.cluster)).map { start in
          let part = bytes[min(start, bytes.count)..<min(start + Int(PaintedContent.cluster), bytes.count)]
          guard let first = part.first else { return 0 }
          // A byte at a time, the tests would do little else.
          let slice = UnsafeRawBufferPointer(rebasing: part)
          guard slice.count == 1 || memcmp(slice.baseAddress!, slice.baseAddress! + 1, slice.count - 1) == 0 else {
            throw TestBedFailure("\(layer) is torn at \(start).")
          }
          return first
        }
      }
    }
    var content = PaintedContent()
    for volume in volumes {
      content.volumes[volume.id] = try read(volume.active, volume.size)
      for snapshot in volume.snapshots { content.snapshots[snapshot.id] = try read(snapshot.layer, snapshot.size) }
    }
    return content
  }

  /// Throws unless there is no file but those that descriptions name; with `isSettled` also unless all of those are there, found to
  /// be in order by QEMU and by what asks before a file is opened, and nobody needs fewer.
  func audit(_ backend: NFSBackend, isSettled: Bool) async throws {
    let volumes = try descriptions()
    let named = Set(volumes.flatMap { volume in [FileNames(volume.id).sidecar] + volume.layers.map(\.name) })
    let files = Set(try files())
    guard files.isSubset(of: named) else { throw TestBedFailure("Nobody knows of \(files.subtracting(named)).") }
    guard isSettled else { return }
    guard files == named else { throw TestBedFailure("\(named.subtracting(files)) are not there.") }
    let folder = try await backend.shares[0].access.folder()
    for volume in volumes {
      guard volume.isWhole, volume.step == nil, volume.unneeded.isEmpty, volume.pins == nil else {
        throw TestBedFailure("\(volume) is not at rest.")
      }
      for name in [volume.active] + volume.snapshots.map(\.layer) {
        let chain = volume.chain(from: name).map { SharedImage.Layer(name: $0.name, format: $0.format) }
        try await ImageCheck(folder: folder).check(chain)
      }
    }
    let images = volumes.flatMap(\.layers).filter { $0.format == .qcow2 }.map { "'\(path)/\($0.name)'" }
    guard !images.isEmpty else { return }
    let checks = images.map { "qemu-img check -q -f qcow2 \($0)" }.joined(separator: " && ")
    try await bed.run(["sh", "-c", checks])
  }

  /// What the QEMU of a running guest does with a merge that it is offered: the bytes go down, and the layer above gets another
  /// behind it.
  func merge(_ id: VolumeID, upTo end: MergeEnd = .rebased) async throws {
    guard let volume = try description(of: id), volume.isStepOffered == true,
      case .merge(let name, let into)? = volume.step, let target = volume.layer(into)
    else { return }
    guard end != .untouched, let above = volume.chain(from: volume.active).first(where: { $0.parent == name }) else {
      return
    }
    let info = try await bed.run(["qemu-img", "info", "-f", "qcow2", "--output=json", "\(path)/\(above.name)"])
    if info.contains("\"backing-filename\": \"\(into)\"") { return }
    try await bed.run(["qemu-img", "commit", "-q", "-d", "-f", "qcow2", "\(path)/\(name)"])
    guard end == .rebased else { return }
    try await bed.run([
      "qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-b", into, "-F", target.format.rawValue,
      "\(path)/\(above.name)",
    ])
  }

  /// How far it gets.
  enum MergeEnd: String, CaseIterable { case untouched, committed, rebased }
}
