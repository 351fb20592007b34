import Conformance
import Foundation
import Logging
import PumiceModel
import PumiceWire
import TestBed

@testable import PumiceAgent

/// A share of an nfs-ganesha, for one test.
struct NFSFixture: Sendable {
  /// The folder that is served, as this machine sees it.
  let path: String
  let server: GaneshaDaemon
  let bed: Bed
  var format = SharedImage.Format.raw
  var settings = ShareVolumes.Settings()

  static func with(
    format: SharedImage.Format = .raw, settings: ShareVolumes.Settings = .init(), isInMemory: Bool = false,
    access: GaneshaDaemon.Export.Access = .readWrite, squashesRoot: Bool = false, mebibytes: Int? = nil,
    mode: mode_t = 0o700, owner: (user: uid_t, group: gid_t) = (0, 0), patience: Duration = .seconds(120),
    _ body: (NFSFixture) async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      // In memory, nothing waits for a disk.
      let memory = "/dev/shm/\((bed.folder.path as NSString).lastPathComponent)"
      defer { if isInMemory { try? FileManager.default.removeItem(atPath: memory) } }
      let path = isInMemory ? memory : try bed.folder.folder("export")
      if isInMemory { try await bed.run(["mkdir", path]) }
      guard chmod(path, mode) == 0, chown(path, owner.user, owner.group) == 0 else {
        throw TestBedFailure("\(path) can't be given to its owner.")
      }
      let server = try GaneshaDaemon(
        in: bed, exports: [.init(path: path, access: access, squashesRoot: squashesRoot, mebibytes: mebibytes)])
      try await server.start()
      var settings = settings
      // A machine that is busy with other tests is no server that says nothing.
      (settings.patience, settings.listing) = (patience, patience)
      try await body(NFSFixture(path: path, server: server, bed: bed, format: format, settings: settings))
    }
  }

  var pool: String { "\(server.address):\(path)" }

  /// A freshly started agent's backend.
  ///
  /// - Parameter others: Shares beside this one.
  func open(
    _ power: PowerSwitch = PowerSwitch(), beside others: [String] = [], user: UInt32 = 0, group: UInt32 = 0,
    timeout: Int = 10
  ) async throws -> NFSBackend {
    let backend = try await NFSBackend.open(
      NFSBackendConfiguration(
        name: "nfs", shares: ([pool] + others).map { .init($0) }, access: .libnfs, format: format, user: user,
        group: group, timeout: timeout),
      of: "n1", mounts: ShareMounts(.init(base: bed.folder.file("mnt"), marks: bed.folder.file("marks"))),
      logger: .silent,
      settings: settings, fault: { step throws(StorageError) in try power.reach(step) })
    // As an agent does with its first report.
    _ = await backend.pools()
    return backend
  }

  /// Every file whose name, or whose description, has the text in it.
  func files(_ text: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).filter { name in
      if name == ShareOwner.file { return false }
      if text.isEmpty || name.contains(text) { return true }
      guard name.hasSuffix(".json"), let bytes = FileManager.default.contents(atPath: "\(path)/\(name)") else {
        return false
      }
      // A copy remembers what it was made from, and what was pinned for a copy is let go later.
      return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains {
        $0.contains(text) && !$0.contains("\"source") && !$0.contains("\"copy\"") && !$0.contains("\"file\"")
      }
    }.sorted()
  }

  // MARK: Content, by QEMU's own tools

  func write(_ stamp: Int, _ volume: StoredVolume, by backend: NFSBackend) async throws {
    let plain = try await temporary(volume)
    try await bed.run(["truncate", "-s", "\(volume.size.bytes)", plain.path])
    try await StampedContent.write(stamp, plain)
    let (image, size) = try await image(volume, backend)
    let active = image.layers[0]
    let target = "\(path)/\(active.name)"
    if size < volume.size.bytes {
      try await bed.run(["qemu-img", "resize", "-q", "-f", active.format.rawValue, target, "\(volume.size.bytes)"])
    }
    try await bed.run([
      "qemu-img", "convert", "-n", "-S", "0", "-f", "raw", "-O", active.format.rawValue, plain.path, target,
    ])
    try FileManager.default.removeItem(atPath: plain.path)
  }

  func content(_ volume: StoredVolume, of backend: NFSBackend) async throws -> StampedContent {
    let (image, size) = try await image(volume, backend)
    let plain = try await temporary(volume)
    defer { try? FileManager.default.removeItem(atPath: plain.path) }
    let active = image.layers[0]
    if active.format == .qcow2 {
      try await bed.run(["qemu-img", "check", "-q", "-f", "qcow2", "\(path)/\(active.name)"])
    }
    guard size >= volume.size.bytes else {
      throw TestBedFailure("\(active.name) shows \(size) and not \(volume.size).")
    }
    try await bed.run([
      "qemu-img", "convert", "-f", active.format.rawValue, "-O", "raw", "\(path)/\(active.name)", plain.path,
    ])
    return try await StampedContent.read(plain)
  }

  /// The files as whoever opens the volume is told, and how much they show.
  private func image(_ volume: StoredVolume, _ backend: NFSBackend) async throws -> (SharedImage, Int64) {
    let image = try await backend.image(of: volume.id, pool: pool, inUse: false)
    let file = "\(path)/\(image.layers[0].name)"
    let shown = try await bed.run(["qemu-img", "info", "--output=json", "-f", image.layers[0].format.rawValue, file])
    let json = try JSONSerialization.jsonObject(with: Data(shown.utf8)) as? [String: Any]
    guard let size = json?["virtual-size"] as? Int64 else { throw TestBedFailure("\(file) has no size.") }
    return (image, size)
  }

  private func temporary(_ volume: StoredVolume) async throws -> StoredVolume {
    StoredVolume(
      id: volume.id, pool: volume.pool, size: volume.size, revision: volume.revision,
      path: bed.folder.file("plain-\(UInt64.random(in: 0 ... .max))"), description: volume.description)
  }

  // MARK: Requests

  func request(
    _ size: ByteCount = .mebibytes(4), revision: Revision = 1, source: VolumeSource? = nil
  ) -> VolumeRequest {
    VolumeRequest(
      revision: revision, backend: "nfs", pool: pool, size: size, source: source,
      description: VolumeDescription(name: "database", project: "project", type: "fast", metadata: ["a": "1"]))
  }

  func snapshotRequest(of volume: VolumeID) -> SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: volume, backend: "nfs", pool: pool,
      description: VolumeDescription(name: "before", project: "project", type: "fast", metadata: ["b": "2"]))
  }

  func revertRequest(_ revision: Revision, to snapshot: SnapshotID) -> RevertRequest {
    RevertRequest(revision: revision, snapshot: snapshot, backend: "nfs", pool: pool)
  }
}
