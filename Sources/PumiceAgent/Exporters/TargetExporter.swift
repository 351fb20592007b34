public import PumiceModel
public import PumiceWire

/// Offers volumes to initiators: the port that every target implementation drives.
///
/// | driver             | kind     | speaks to                              |
/// |--------------------|----------|----------------------------------------|
/// | `LIOExporter`      | `lio`    | the kernel, through configfs           |
/// | `TGTExporter`      | `tgt`    | tgtd, over its management socket       |
/// | `InMemoryExporter` | `memory` | `InMemoryFabric`                       |
///
/// The caller keeps the records of what shall be exported, with their secrets, and hands in one at a time per volume; a
/// driver makes the target so, from whatever state it finds. One target per volume, one initiator name and one CHAP
/// account per export. `ExporterConformance` holds a driver to what stands here.
public protocol TargetExporter: Sendable {
  /// `iscsi` or `memory`.
  var protocolName: String { get }

  /// When it returns, the initiator of this export reaches the volume at its present size with the export's secret, and
  /// other exports of the volume stand as they did. Harmless when repeated; sessions stay up; a grown volume shows its size.
  /// Who can show initiators `Export.targetAccount` does, and returns it; others return none.
  func ensure(_ export: Export) async throws(StorageError) -> ExportedTarget

  /// When it returns, the initiator is refused and its session has ended. `remaining` are the volume's other exports:
  /// without any, the target is gone as well. Content when nothing was there.
  func remove(_ export: Export, remaining: [Export]) async throws(StorageError)

  /// What the target really offers now.
  func exports() async throws(StorageError) -> [Inventory.Export]

  /// The same, of one volume. Asked after each `remove`, so it should cost no more for many volumes than for one.
  func exports(of volume: VolumeID) async throws(StorageError) -> [Inventory.Export]
}

extension TargetExporter {
  public func exports(of volume: VolumeID) async throws(StorageError) -> [Inventory.Export] {
    try await exports().filter { $0.volume == volume }
  }
}

/// One volume offered to one initiator, for one attachment: what the agent's record says.
public struct Export: Sendable, Equatable, Codable {
  public let attachment: AttachmentID
  public let volume: VolumeID
  public var revision: Revision
  public let backend: String
  public let pool: String
  /// What lies behind the target, as the backend named it.
  public var path: String
  public let initiator: String
  public let readOnly: Bool
  public let chapUser: String
  public let chapSecret: String
  /// What the target shows this initiator, if it can: mutual CHAP.
  public var targetAccount: TargetAccount?

  /// Whether an instance of this node uses the device at `path`.
  var isLocal: Bool { ConnectorDescription.isLocal(initiator) }
  /// Whether its user opens files of a share.
  var isShared: Bool { ConnectorDescription.opensShares(initiator) }
  /// Whether no target offers it.
  var hasNoTarget: Bool { isLocal || isShared }

  public init(
    attachment: AttachmentID, volume: VolumeID, revision: Revision, backend: String, pool: String, path: String,
    initiator: String, readOnly: Bool, chapUser: String, chapSecret: String, targetAccount: TargetAccount? = nil
  ) {
    self.attachment = attachment
    self.volume = volume
    self.revision = revision
    self.backend = backend
    self.pool = pool
    self.path = path
    self.initiator = initiator
    self.readOnly = readOnly
    self.chapUser = chapUser
    self.chapSecret = chapSecret
    self.targetAccount = targetAccount
  }
}
