import Conformance
import Glibc
import Logging
import PumiceModel
import PumiceWire
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

/// What the tests are made of.
extension LIOExporterTests {
  func makeExporter(
    portals: [String] = [portal], patience: Duration = .seconds(10)
  ) throws -> LIOExporter {
    try LIOExporter(
      portals: portals, iqnPrefix: prefix, configfs: KernelConfigfs(), patience: patience, logger: logger
    ) { () async throws(StorageError) in try await LIOKernel().prepare() }
  }

  func withBackend(
    portals: [String] = [portal], isReady: Bool = true, _ body: (LIOExporter, DirectoryBackend) async throws -> Void
  ) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let backend = try await DirectoryBackend.open(
      DirectoryBackendConfiguration(name: "files", path: try folder.folder("volumes")), logger: logger)
    if isReady { try await LIOKernel().prepare() }
    try await body(try makeExporter(portals: portals), backend)
    #expect(try KernelConfigfs().list("iscsi")?.folders.filter { $0.hasPrefix(prefix) } == [])
  }

  /// A volume group on the first disk of the node.
  func withVolumeGroup(_ body: (String) async throws -> Void) async throws {
    let group = "lio\(VolumeID.random().high % 100_000)"
    try await shell("wipefs -qa /dev/ubdb; vgcreate -qq --yes \(group) /dev/ubdb")
    do {
      try await body(group)
    } catch {
      try await shell("dmsetup resume \(group)-volume; vgremove -qq -f \(group) || true")
      throw error
    }
    try await shell("vgremove -qq -f \(group)")
  }

  @discardableResult
  func shell(_ script: String) async throws -> String {
    let outcome = try await CommandRunner().run("bash", ["-ec", script])
    guard outcome.succeeded else { throw TestBedFailure("\(script): \(outcome.standardError)") }
    return outcome.standardOutput
  }

  /// As rtslib's service does when it is restarted.
  func clear(_ prefix: String) async throws {
    try await shell(
      """
      cd /sys/kernel/config/target
      for target in iscsi/\(prefix)*; do
        for acl in $target/tpgt_1/acls/*; do
          for lun in $acl/lun_*; do find $lun -type l -delete; rmdir $lun; done
          rmdir $acl
        done
        for lun in $target/tpgt_1/lun/lun_*; do find $lun -maxdepth 1 -type l -delete; rmdir $lun; done
        rmdir $target/tpgt_1/np/* $target/tpgt_1 $target
        rmdir core/*_9776/volume-${target##*volume-} 2>/dev/null || true
      done
      """)
  }

  func volume(_ backend: DirectoryBackend, _ size: ByteCount = .mebibytes(1)) async throws -> StoredVolume {
    try await grown(backend, nil, size)
  }

  func grown(
    _ backend: DirectoryBackend, _ volume: StoredVolume?, _ size: ByteCount
  ) async throws -> StoredVolume {
    let request = VolumeRequest(
      revision: 1, backend: "files", pool: "files", size: size,
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
    let id = volume?.id ?? .random()
    return try await eventually("volume \(id) is there") {
      guard case .done(let volume) = try await backend.ensure(id, request) else { return nil }
      return volume
    }
  }

  func export(
    _ volume: StoredVolume, readOnly: Bool = false, initiator: String? = nil
  ) -> Export {
    export(volume.id, path: volume.path, readOnly: readOnly, initiator: initiator)
  }

  func export(
    _ volume: VolumeID, path: String, readOnly: Bool = false, initiator: String? = nil
  ) -> Export {
    let attachment = AttachmentID.random()
    return Export(
      attachment: attachment, volume: volume, revision: 1, backend: "files", pool: "files", path: path,
      initiator: initiator ?? "iqn.2026-11.io.pumice:node-1:\(attachment)", readOnly: readOnly,
      chapUser: "pumice-\(attachment)", chapSecret: "secret-of-16-cha")
  }

  /// All steps from nothing to this export.
  static func operations(_ export: Export, prefix: String) throws -> [ConfigfsOperation] {
    let names = LIONames(prefix: prefix, volume: export.volume)
    let present = LIOTargetState()
    return LIOPlan.operations(
      from: present, to: try present.offering(export, LIODisk.at(export.path), portals: [portal], names), names)
  }

  func operations(_ backend: DirectoryBackend) async throws -> [ConfigfsOperation] {
    let volume = try await volume(backend)
    let operations = try Self.operations(export(volume), prefix: prefix)
    _ = try await backend.remove(volume.id, pool: "files")
    return operations
  }

  func logIn(to target: ExportedTarget) async throws -> any TestSession {
    try await LibiscsiInitiator().logIn(
      to: target, as: target.initiator, user: target.chapUser, secret: target.chapSecret)
  }

  static func session(_ target: ExportedTarget) throws(StorageError) -> ISCSISession {
    try ISCSISession(
      ISCSISession.Address(portal: target.portals[0], iqn: target.iqn, lun: target.lun), initiator: target.initiator,
      user: target.chapUser, secret: target.chapSecret)
  }

  static func canWrite(_ target: ExportedTarget) async throws -> Bool {
    try await BlockingCalls.run { () throws(StorageError) in
      let session = try session(target)
      _ = try session.capacity()
      do throws(StorageError) {
        try session.write([UInt8](repeating: 7, count: 512), at: 0)
        return true
      } catch {
        return false
      }
    }
  }

  static func overwrite(_ path: String, _ block: [UInt8]) throws {
    let file = open(path, O_WRONLY)
    defer { close(file) }
    guard file >= 0, pwrite(file, block, block.count, 0) == block.count else { throw TestBedFailure("Writing \(path)") }
  }

  static func firstBlock(_ path: String) throws -> [UInt8] {
    var block = [UInt8](repeating: 0, count: 512)
    let file = open(path, O_RDONLY)
    defer { close(file) }
    guard file >= 0, pread(file, &block, block.count, 0) == block.count else { throw TestBedFailure("Reading \(path)") }
    return block
  }
}

/// An initiator that writes the first block over and over until it is stopped, or can't any more.
final class Writer: Sendable {
  private let target: ExportedTarget
  private let state = Mutex((written: 0, isStopped: false))

  init(_ target: ExportedTarget) { self.target = target }

  var written: Int { state.withLock(\.written) }
  var isStopped: Bool { state.withLock(\.isStopped) }
  func stop() { state.withLock { $0.isStopped = true } }

  func run() async throws(StorageError) {
    try await BlockingCalls.run(within: .seconds(120), "Writing") { [self] () throws(StorageError) in
      let session = try ISCSISession(
        ISCSISession.Address(portal: target.portals[0], iqn: target.iqn, lun: target.lun), initiator: target.initiator,
        user: target.chapUser, secret: target.chapSecret)
      _ = try session.capacity()
      while !isStopped {
        try session.write([UInt8](repeating: UInt8(truncatingIfNeeded: written), count: 512), at: 0)
        state.withLock { $0.written += 1 }
      }
    }
  }
}
