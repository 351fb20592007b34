import Conformance
import Foundation
import Logging
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Targets in the node that the kernel of the same node logs in to: a tgtd of the test's own over files of its own.
struct NodeTargets: Sendable {
  let bed: Bed
  let daemon: TargetDaemon
  let exporter: TGTExporter
  let backend: DirectoryBackend
  /// A second way in.
  let otherPortal: String

  static let initiator = "iqn.2026-11.io.pumice:node-lab"

  /// - Parameter isMultipath: Whether exports name both portals.
  static func with<Result>(isMultipath: Bool = false, _ work: (NodeTargets) async throws -> Result) async throws
    -> Result
  {
    return try await Bed.with { bed in
      let daemon = try TargetDaemon(in: bed)
      try await daemon.start()
      let other = "127.0.0.1:\(try freePort())"
      try await daemon.tgtadm("--op", "new", "--mode", "portal", "--param", "portal=\(other)")
      let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
      let targets = NodeTargets(
        bed: bed, daemon: daemon,
        exporter: TGTExporter(
          socketPath: daemon.ipcSocket, portals: isMultipath ? [daemon.portal, other] : [daemon.portal], logger: logger),
        backend: try await DirectoryBackend.open(
          DirectoryBackendConfiguration(name: "files", path: try bed.folder.folder("volumes")), logger: logger),
        otherPortal: other)
      let result = try await work(targets)
      try await daemon.kill9()
      return result
    }
  }

  func connector(_ initiator: String = initiator) -> KernelISCSIConnector {
    KernelISCSIConnector(
      initiator: initiator, logger: Logger(label: "test") { StreamLogHandler.standardError(label: $0) })
  }

  /// A volume that the connector's node may log in to.
  func export(
    _ size: ByteCount = .mebibytes(8), to connector: KernelISCSIConnector
  ) async throws -> ExportedVolume {
    let volume = try await backend.ensured(.random(), volumeRequest(size))
    let attachment = AttachmentID.random()
    let export = Export(
      attachment: attachment, volume: volume.id, revision: 1, backend: "files", pool: "files", path: volume.path,
      initiator: connector.description.initiatorName(for: attachment), readOnly: false, chapUser: "\(attachment)",
      chapSecret: "secret-of-16-cha")
    let target = try await exporter.ensure(export)
    return ExportedVolume(
      attachment: attachment, export: export,
      request: ConnectionRequest(revision: 1, volume: volume.id, instance: .random(), size: size, target: target))
  }

  func grow(_ volume: ExportedVolume, to size: ByteCount) async throws {
    _ = try await backend.ensured(volume.request.volume, volumeRequest(size))
    _ = try await exporter.ensure(volume.export)
  }

  private func volumeRequest(_ size: ByteCount) -> VolumeRequest {
    VolumeRequest(
      revision: 1, backend: "files", pool: "files", size: size,
      description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__"))
  }
}

struct ExportedVolume: Sendable {
  let attachment: AttachmentID
  let export: Export
  var request: ConnectionRequest
}

/// What a connector has made on this node and not taken away, in words.
func leavings() -> [String] {
  let view = KernelView(reading: Sysfs())
  let database = NodeDatabase(root: NodeDatabase.standardRoot)
  let links = KernelISCSIConnector.Places().links
  return view.sessions.map { "\($0.name) with \($0.target)" } + view.disks.map { "disk \($0.name)" }
    + view.maps.filter(\.isMultipath).map { "map \($0.label)" } + database.entries().map { "record \($0.path)" }
    + folderNames("/etc/iscsi/ifaces").map { "interface \($0)" }
    + folderNames("/etc/iscsi/nodes").map { "folder \($0)" }
    + folderNames("/etc/iscsi").filter { $0.hasPrefix(".") }.map { "file \($0)" }
    + ((try? String(contentsOfFile: "/etc/multipath/wwids", encoding: .utf8)) ?? "").split(separator: "\n")
    .filter { !$0.hasPrefix("#") }.map { "WWID \($0)" }
    + links.all().values.map { "link to \($0)" }
}

func devicePath(of source: DiskSource) throws -> String {
  guard case .block(let path) = source else { throw TestBedFailure("\(source) is no block device.") }
  return path
}
