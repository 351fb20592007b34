import Conformance
import Foundation
import Logging
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Against a tgtd of their own each; they need Debian's packages `tgt` and `qemu-utils`.
struct TGTExporterTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test(.timeLimit(.minutes(5))) func keepsThePromisesOfAnExporter() async throws {
    try await withTarget { daemon, exporter, backend in
      try await daemon.tgtadm("--op", "new", "--mode", "target", "--tid", "7", "-T", "iqn.2024-01.org.example:foreign")
      try await daemon.tgtadm("--op", "bind", "--mode", "target", "--tid", "7", "-I", "ALL")
      let session = TGTSession(client: TGTClient(socketPath: daemon.ipcSocket))
      @Sendable func create(_ export: Export) throws -> TGTTarget {
        #expect(try session.createTarget(9, exporter.targetName(export.volume)))
        return TGTTarget(id: 9, name: exporter.targetName(export.volume))
      }
      let hooks = ExporterConformance.Hooks(
        restartTarget: nil,
        plantHalfMade: [
          { export in _ = try create(export) },
          { export in
            let target = try create(export)
            try session.createUnit(1, path: export.path, in: target)
          },
          { export in
            let target = try create(export)
            try session.createUnit(1, path: export.path, in: target)
            _ = try session.createAccount(export.chapUser, secret: "of-another-life")
            try session.perform(.bind(export.chapUser), on: target)
          },
          { export in
            _ = try session.createAccount(export.chapUser, secret: "of-another-life")
            let target = try create(export)
            try session.admit(export.initiator, to: target)
          },
        ],
        foreign: {
          let text = try await daemon.tgtadm("--op", "show", "--mode", "target")
          return text.components(separatedBy: "\nTarget ").filter { $0.contains("org.example") }.joined()
        })
      try await ExporterConformance(
        exporter, initiator: LibiscsiInitiator(), backend: backend, pool: "files", hooks: hooks
      ).check()
      let accounts = try session.accounts()
      #expect(accounts == [TGTAccounts.guardName], "no account may outlive its export")
    }
  }

  @Test(.timeLimit(.minutes(2))) func restoresExportsAfterTgtdWasKilled() async throws {
    try await withTarget { daemon, exporter, backend in
      let hooks = ExporterConformance.Hooks(
        restartTarget: {
          try await daemon.kill9()
          try await daemon.start()
        }, foreign: { "" })
      try await ExporterConformance(
        exporter, initiator: LibiscsiInitiator(), backend: backend, pool: "files", hooks: hooks
      ).check()
    }
  }

  @Test func exportsAreFoundByAnAgentThatHasJustStarted() async throws {
    try await withTarget { daemon, exporter, backend in
      let volume = try await backend.ensured(.random(), request(.mebibytes(1)))
      let exports = (0..<2).map { _ in export(volume) }
      for export in exports { _ = try await exporter.ensure(export) }
      let successor = makeExporter(daemon)
      let found = try await successor.exports()
      #expect(Set(found.map(\.attachment)) == Set(exports.map(\.attachment)))
      for export in exports {
        let session = try await LibiscsiInitiator().logIn(
          to: try await successor.ensure(export), as: export.initiator, user: export.chapUser, secret: export.chapSecret
        )
        await session.logOut()
      }
      try await successor.remove(exports[0], remaining: [exports[1]])
      try await successor.remove(exports[1], remaining: [])
    }
  }

  @Test func theSecretIsInNoCommandLineAndNoLog() async throws {
    try await withTarget { daemon, exporter, backend in
      let volume = try await backend.ensured(.random(), request(.mebibytes(1)))
      let export = export(volume)
      _ = try await exporter.ensure(export)
      let log = try String(contentsOfFile: daemon.daemon.log, encoding: .utf8)
      #expect(!log.contains(export.chapSecret))
      let shown = try await daemon.tgtadm("--op", "show", "--mode", "target")
      #expect(!shown.contains(export.chapSecret))
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test func aReadOnlyExportCanNotBeWritten() async throws {
    try await withTarget { _, exporter, backend in
      let volume = try await backend.ensured(.random(), request(.mebibytes(1)))
      for readOnly in [true, false, true] {
        let export = export(volume, readOnly: readOnly)
        let target = try await exporter.ensure(export)
        let wrote = try await BlockingCalls.run { () throws(StorageError) in
          let session = try ISCSISession(
            ISCSISession.Address(portal: target.portals[0], iqn: target.iqn, lun: target.lun),
            initiator: target.initiator, user: target.chapUser, secret: target.chapSecret)
          do throws(StorageError) {
            try session.write([UInt8](repeating: 7, count: 512), at: 0)
            return true
          } catch {
            return false
          }
        }
        #expect(wrote == !readOnly)
        try await exporter.remove(export, remaining: [])
      }
    }
  }

  @Test func serialAndIdentityAreTheVolumesId() async throws {
    try await withTarget { _, exporter, backend in
      let volume = try await backend.ensured(.random(), request(.mebibytes(1)))
      let export = export(volume)
      let target = try await exporter.ensure(export)
      let (serial, designators) = try await BlockingCalls.run { () throws(StorageError) in
        let session = try ISCSISession(
          ISCSISession.Address(portal: target.portals[0], iqn: target.iqn, lun: target.lun),
          initiator: target.initiator, user: target.chapUser, secret: target.chapSecret)
        return (try session.unitSerial(), try session.designators())
      }
      #expect(serial == "\(volume.id)")
      #expect(designators.contains { $0.contains("\(volume.id)") })
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test(.timeLimit(.minutes(3))) func aVolumeGrowsUnderManyWritesWithoutAnError() async throws {
    try await withTarget { daemon, exporter, backend in
      let volume = try await backend.ensured(.random(), request(.mebibytes(64)))
      let export = export(volume)
      let target = try await exporter.ensure(export)
      let image =
        "driver=raw,file.driver=iscsi,file.transport=tcp,file.portal=\(target.portals[0]),file.target=\(target.iqn),"
        + "file.lun=1,file.user=\(target.chapUser),file.password=\(target.chapSecret),"
        + "file.initiator-name=\(target.initiator)"
      async let writes = CommandRunner(deadline: .seconds(120)).run(
        "qemu-img", ["bench", "-w", "-d", "64", "-c", "150000", "-s", "4096", "-t", "none", "--image-opts", image])
      var reopenings = 0
      try await eventually("the writer is logged in") {
        try await daemon.tgtadm("--op", "show", "--mode", "target").contains("I_T nexus: ")
      }
      for step in 1...40 {
        _ = try await backend.ensured(volume.id, request(.mebibytes(64 + step)))
        _ = try await exporter.ensure(export)
        reopenings += 1
      }
      let outcome = try await writes
      #expect(outcome.exitCode == 0, "\(outcome.standardError)")
      #expect(reopenings == 40)
      try await exporter.remove(export, remaining: [])
    }
  }

  @Test(arguments: ["/a,b", "relative", "/with space", ""])
  func pathsThatTgtdCanNotBeToldAreRefused(_ path: String) async throws {
    let exporter = TGTExporter(socketPath: "/nonexistent/socket.0", portals: ["127.0.0.1:3260"], logger: logger)
    let export = Export(
      attachment: .random(), volume: .random(), revision: 1, backend: "files", pool: "files", path: path,
      initiator: "iqn.2026-11.org.example:a", readOnly: false, chapUser: "u", chapSecret: "s")
    let error = await #expect(throws: StorageError.self) { try await exporter.ensure(export) }
    #expect(error?.code == .invalid && error?.field == "path")
  }

  @Test func withoutTgtdEverythingIsUnavailable() async throws {
    try await withFolder { folder in
      let path = try folder.write("data", to: "volume")
      let exporter = TGTExporter(socketPath: folder.file("socket.0"), portals: ["127.0.0.1:1"], logger: logger)
      let export = Export(
        attachment: .random(), volume: .random(), revision: 1, backend: "files", pool: "files", path: path,
        initiator: "iqn.2026-11.org.example:a", readOnly: false, chapUser: "u", chapSecret: "s")
      let ensured = await #expect(throws: StorageError.self) { try await exporter.ensure(export) }
      let removed = await #expect(throws: StorageError.self) { try await exporter.remove(export, remaining: []) }
      let listed = await #expect(throws: StorageError.self) { try await exporter.exports() }
      #expect([ensured, removed, listed].allSatisfy { $0?.code == .unavailable })
    }
  }

  // MARK: Parts

  private func makeExporter(_ daemon: TargetDaemon) -> TGTExporter {
    TGTExporter(socketPath: daemon.ipcSocket, portals: [daemon.portal], logger: logger)
  }

  private func withTarget(
    _ body: (TargetDaemon, TGTExporter, DirectoryBackend) async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      let daemon = try TargetDaemon(in: bed)
      try await daemon.start()
      let backend = try await DirectoryBackend.open(
        DirectoryBackendConfiguration(name: "files", path: try bed.folder.folder("volumes")), logger: logger)
      try await body(daemon, makeExporter(daemon), backend)
    }
  }

  private func withFolder(_ body: (TemporaryFolder) async throws -> Void) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    try await body(folder)
  }

  private func request(_ size: ByteCount) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: "files", pool: "files", size: size,
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
  }

  private func export(_ volume: StoredVolume, readOnly: Bool = false) -> Export {
    let attachment = AttachmentID.random()
    return Export(
      attachment: attachment, volume: volume.id, revision: 1, backend: "files", pool: volume.pool, path: volume.path,
      initiator: "iqn.2026-11.io.pumice:node-1:\(attachment)", readOnly: readOnly, chapUser: "\(attachment)",
      chapSecret: "secret-of-16-cha")
  }
}
