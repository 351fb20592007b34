import Conformance
import Foundation
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// The NFS backend on shares that the kernel mounts, from a kernel's server.
@Suite(.serialized) struct NFSBackendTests {
  /// Snapshots share their bytes with the volume.
  @Test(.timeLimit(.minutes(5))) func keepsItsPromisesWhereTheServerSharesBytes() async throws {
    try await KernelNFSServer.modern.lend {
      let path = try await KernelNFSServer.modern.makeFileSystem("xfs", mebibytes: 512)
      // XFS takes sparse files of any size.
      try await check(KernelNFSServer.modern, path, excessiveSize: nil) { backend in
        let layers = try await backend.layers()
        #expect(layers.allSatisfy { $0.format == .raw && $0.parent == nil }, "\(layers)")
      }
    }
  }

  /// Snapshots are layers.
  @Test(.timeLimit(.minutes(5))) func keepsItsPromisesOverNFS3() async throws {
    try await KernelNFSServer.old.lend {
      let path = try await KernelNFSServer.old.makeFileSystem("ext4", mebibytes: 256)
      try await check(KernelNFSServer.old, path, excessiveSize: ByteCount(1 << 62)) { backend in
        let layers = try await backend.layers()
        #expect(layers.contains { $0.format == .qcow2 && $0.parent != nil }, "\(layers)")
      }
    }
  }

  enum Outage: String, CaseIterable {
    case stopped, cutOff, readOnly

    var codes: [StorageError.Code] { self == .readOnly ? [.forbidden] : [.unavailable, .timeout] }
  }

  /// Mounts are `hard`: the kernel's own calls wait for the server, and the agent's don't.
  @Test(.timeLimit(.minutes(3)), arguments: Outage.allCases) func anOutageLosesNothing(_ outage: Outage) async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFileSystem("ext4", mebibytes: 64)
      try await server.export([(path, "rw,no_root_squash,fsid=1")])
      let timing = MountedShare.Timing(call: .seconds(4), probe: .seconds(3), command: .seconds(5))
      let station = try await NFSStation(server, path, timing)
      let (backend, first, second) = (station.backend, SnapshotID.random(), SnapshotID.random())
      let volume = try await backend.ensured(.random(), station.request(.mebibytes(4)))
      try await station.write(1, volume)
      _ = try await backend.snapshotted(first, station.snapshotRequest(of: volume.id))
      try await station.write(2, volume)

      switch outage {
      case .stopped: try await server.stop()
      case .cutOff: try await server.cutOff()
      case .readOnly: try await server.export([(path, "ro,no_root_squash,fsid=1")])
      }
      for _ in 0..<2 {
        let begin = ContinuousClock.now
        let error = await #expect(throws: StorageError.self) {
          try await backend.snapshotted(second, station.snapshotRequest(of: volume.id))
        }
        #expect(outage.codes.contains(try #require(error).code), "\(error as Any)")
        if outage != .readOnly { #expect(await backend.pools().first?.downReason != nil) }
        #expect(ContinuousClock.now - begin < .seconds(25))
      }
      switch outage {
      case .stopped: try await server.start()
      case .cutOff: try await server.reconnect()
      case .readOnly: try await server.export([(path, "rw,no_root_squash,fsid=1")])
      }

      let end = ContinuousClock.now + .seconds(60)
      while true {
        do throws(StorageError) {
          _ = try await backend.snapshotted(second, station.snapshotRequest(of: volume.id))
          break
        } catch {
          guard ContinuousClock.now < end else { throw error }
          try await Task.sleep(for: .milliseconds(200))
        }
      }
      #expect(await backend.pools().first?.downReason == nil)
      #expect(try await backend.snapshots().map(\.id) == [first, second].sorted())
      #expect(try await station.content(volume) == StampedContent(2, .mebibytes(4)))
      let named = try await station.layers().map(\.name) + [FileNames(volume.id).sidecar, ShareOwner.file]
      #expect(
        try await server.inside("ls -A \(path)").split(separator: "\n").map(String.init).sorted() == named.sorted())
    }
  }

  private func check(
    _ server: KernelNFSServer, _ path: String, excessiveSize: ByteCount?,
    withSnapshot look: (NFSStation) async throws -> Void
  ) async throws {
    try await server.export([(path, "rw,no_root_squash,fsid=1")])
    let station = try await NFSStation(server, path)
    let hooks = BackendConformance.Hooks(
      restart: { try await station.open() }, plant: { try await station.plant($0) },
      traces: { id in try await station.files(id) }, excessiveSize: excessiveSize, crowd: 9,
      write: { stamp, volume in try await station.write(stamp, volume) },
      content: { volume in try await station.content(volume) })
    try await BackendConformance(station.backend, pool: station.pool, hooks: hooks).check()

    let volume = try await station.backend.ensured(.random(), station.request(.mebibytes(1)))
    _ = try await station.backend.snapshotted(.random(), station.snapshotRequest(of: volume.id))
    try await look(station)
  }
}

/// One agent's view of a share.
private struct NFSStation: Sendable {
  let backend: NFSBackend
  let pool: String
  private let share: NFSShare
  private let mounts: ShareMounts

  init(_ server: KernelNFSServer, _ path: String, _ timing: MountedShare.Timing = .init()) async throws {
    let folder = "/var/tmp/station-\(server.name)"
    try await sh("rm -rf \(folder); mkdir \(folder)")
    pool = "\(server.address):\(path)"
    share = try NFSShare(pool)
    mounts = ShareMounts(
      ShareMounts.Places(base: "\(folder)/mnt", marks: "\(folder)/marks"), timing: timing)
    backend = try await Self.open(pool, mounts)
  }

  func open() async throws -> NFSBackend { try await Self.open(pool, mounts) }

  private static func open(_ pool: String, _ mounts: ShareMounts) async throws -> NFSBackend {
    var settings = ShareVolumes.Settings()
    // A node that is slow is no server that says nothing.
    (settings.patience, settings.listing) = (.seconds(120), .seconds(120))
    let backend = try await NFSBackend.open(
      NFSBackendConfiguration(name: "nfs", shares: [.init(pool)], access: .mount), of: "n1", mounts: mounts,
      logger: .silent, settings: settings)
    // As an agent does with its first report.
    _ = await backend.pools()
    return backend
  }

  func files(_ text: String) async throws -> [String] {
    let folder = path("")
    return try FileManager.default.contentsOfDirectory(atPath: folder).filter { name in
      if name.contains(text) { return true }
      guard name.hasSuffix(".json"), let bytes = FileManager.default.contents(atPath: path(name)) else { return false }
      // A copy remembers what it was made from.
      return String(decoding: bytes, as: UTF8.self).split(separator: "\n").contains {
        $0.contains(text) && !$0.contains("\"source")
      }
    }.sorted()
  }

  func layers() async throws -> [NFSVolume.Layer] { try await volumes().all().flatMap(\.layers) }

  // MARK: Content

  func write(_ stamp: Int, _ volume: StoredVolume) async throws {
    let active = try await active(volume)
    guard active.format == .qcow2 else {
      return try await StampedContent.write(stamp, plain(volume, path(active.name)))
    }
    let file = "/var/tmp/plain-\(volume.id)"
    try await sh("truncate -s \(volume.size.bytes) \(file)")
    try await StampedContent.write(stamp, plain(volume, file))
    try await sh("\(Self.qemuImg) convert -n -S 0 -f raw -O qcow2 \(file) \(path(active.name)); rm \(file)")
  }

  func content(_ volume: StoredVolume) async throws -> StampedContent {
    let active = try await active(volume)
    guard active.format == .qcow2 else { return try await StampedContent.read(plain(volume, path(active.name))) }
    let file = "/var/tmp/plain-\(volume.id)"
    try await sh(
      "\(Self.qemuImg) check -q -f qcow2 \(path(active.name)); \(Self.qemuImg) convert -f qcow2 -O raw \(path(active.name)) \(file)"
    )
    let content = try await StampedContent.read(plain(volume, file))
    try await sh("rm \(file)")
    return content
  }

  private func active(_ volume: StoredVolume) async throws -> SharedImage.Layer {
    try await backend.image(of: volume.id, pool: pool, inUse: false).layers[0]
  }

  private func path(_ name: String) -> String { "\(share.mountPoint(in: mounts.places.base))/\(name)" }

  private func plain(_ volume: StoredVolume, _ path: String) -> StoredVolume {
    StoredVolume(
      id: volume.id, pool: volume.pool, size: volume.size, revision: volume.revision, path: path,
      description: volume.description)
  }

  /// The machine's own; the lab's nodes have none.
  private static let qemuImg =
    "/host/lib64/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu:/host/usr/lib/x86_64-linux-gnu "
    + "/host/usr/bin/qemu-img"

  // MARK: What crashes leave

  func plant(_ leaving: BackendConformance.Leaving) async throws {
    let volumes = try await volumes()
    switch leaving {
    case .volume(let id): try await plant(id, request(.mebibytes(1)), volumes)
    case .copy(let id, let source): try await plant(id, request(.mebibytes(8), source: source), volumes)
    case .snapshot(let id, let volume):
      var description = try await idle(volume, volumes)
      let layer = NFSVolume.Layer(name: volumes.newLayerName(of: volume), format: .qcow2, parent: description.active)
      let snapshot = NFSVolume.Snapshot(
        id, snapshotRequest(of: volume), of: description, created: Timestamp(milliseconds: 0))
      description.begin(.push(layer: layer.name, snapshot: snapshot), layer)
      try await volumes.place(description)
      try await volumes.make(layer, description, size: description.size, thick: false)
    case .revert(let id, let snapshot):
      var description = try await idle(id, volumes)
      let origin = try #require(description.snapshot(snapshot)).layer
      let layer = NFSVolume.Layer(name: volumes.newLayerName(of: id), format: .qcow2, parent: origin)
      description.begin(.revert(layer: layer.name, snapshot: snapshot, revision: 2), layer)
      try await volumes.place(description)
    }
  }

  private func plant(_ id: VolumeID, _ request: VolumeRequest, _ volumes: ShareVolumes) async throws {
    let volume = NFSVolume(
      id, request, file: FileNames(id).data, format: .raw, created: Timestamp(milliseconds: 0))
    try await volumes.place(volume)
    try await volumes.make(volume.layers[0], volume, size: .mebibytes(1), thick: false)
  }

  private func idle(_ id: VolumeID, _ volumes: ShareVolumes) async throws -> NFSVolume {
    let volume = try #require(try await volumes.volume(id))
    return try await volumes.settled(volume, inUse: false)
  }

  private func volumes() async throws -> ShareVolumes {
    let folder = try await MountedFolder.open(
      mounts.share(share), MountedFolder.Settings(options: try NFSMountOptions()))
    return ShareVolumes(folder: folder, memory: ShareMemory(), settings: .init())
  }

  // MARK: Requests

  func request(_ size: ByteCount, source: VolumeSource? = nil) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: "nfs", pool: pool, size: size, source: source,
      description: VolumeDescription(name: "database", project: "project", type: "fast"))
  }

  func snapshotRequest(of volume: VolumeID) -> SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: volume, backend: "nfs", pool: pool,
      description: VolumeDescription(name: "before", project: "project", type: "fast"))
  }
}
