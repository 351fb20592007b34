public import PumiceAgent
import PumiceModel
import PumiceWire
import Testing

/// Holds a connector to what `Connector` promises, against an exporter that reaches the same network.
public struct ConnectorConformance: Sendable {
  let connector: any Connector
  let exporter: any TargetExporter
  let backend: any VolumeBackend
  let pool: String
  let deadPortal: String

  /// - Parameter deadPortal: An address in the target's network where nobody answers.
  public init(
    _ connector: any Connector, exporter: any TargetExporter, backend: any VolumeBackend, pool: String,
    deadPortal: String
  ) {
    self.connector = connector
    self.exporter = exporter
    self.backend = backend
    self.pool = pool
    self.deadPortal = deadPortal
  }

  public func check() async throws {
    let volume = try await backend.ensured(
      .random(),
      VolumeRequest(
        revision: 1, backend: backend.name, pool: pool, size: .mebibytes(8),
        description: VolumeDescription(name: "", project: "project", type: "__DEFAULT__")))
    let attachment = AttachmentID.random()
    let initiator = connector.description.initiatorName(for: attachment)
    let export = Export(
      attachment: attachment, volume: volume.id, revision: 1, backend: backend.name, pool: pool, path: volume.path,
      initiator: initiator, readOnly: false, chapUser: "pumice-\(attachment)", chapSecret: "secret-of-16-cha")
    let target = try await exporter.ensure(export)
    let request = ConnectionRequest(
      revision: 1, volume: volume.id, instance: .random(), size: .mebibytes(8), target: target)

    try await connector.disconnect(attachment)
    let source = try await connector.connect(attachment, request)
    let repeated = try await connector.connect(attachment, request)
    #expect(repeated == source)

    try await refusesOtherDisks(attachment, request)
    try await triesEveryPortal(attachment, request, source)

    let connected = try await connector.connect(attachment, request)
    #expect(connected == source)
    for _ in 0..<2 { try await connector.disconnect(attachment) }
    try await exporter.remove(export, remaining: [])
    await expect(.notFound, .unavailable) { () throws(StorageError) in
      _ = try await connector.connect(attachment, request)
    }
    try await connector.disconnect(attachment)
    try await backend.erase(volume.id, pool: pool)
  }

  private func refusesOtherDisks(_ attachment: AttachmentID, _ request: ConnectionRequest) async throws {
    var wrong = request
    wrong.volume = .random()
    await expect(.wrongDevice) { () throws(StorageError) in _ = try await connector.connect(attachment, wrong) }
    wrong = request
    wrong.size = .mebibytes(9)
    await expect(.wrongDevice) { () throws(StorageError) in _ = try await connector.connect(attachment, wrong) }
    wrong = request
    wrong.target.chapSecret = "notthesecret12"
    await expect(.forbidden) { () throws(StorageError) in _ = try await connector.connect(attachment, wrong) }
    wrong = request
    wrong.target.initiator = "iqn.2026-11.org.example:stranger"
    await expect(.forbidden, .notFound) { () throws(StorageError) in _ = try await connector.connect(attachment, wrong)
    }
    wrong = request
    wrong.target.portals = []
    await expect(.invalid) { () throws(StorageError) in _ = try await connector.connect(attachment, wrong) }
  }

  private func triesEveryPortal(
    _ attachment: AttachmentID, _ request: ConnectionRequest, _ source: DiskSource
  ) async throws {
    var several = request
    several.target.portals = [deadPortal] + request.target.portals
    let found = try await connector.connect(attachment, several)
    #expect(found == source)
    several.target.portals = [deadPortal]
    await expect(.unavailable, .notFound) { () throws(StorageError) in
      _ = try await connector.connect(attachment, several)
    }
  }
}
