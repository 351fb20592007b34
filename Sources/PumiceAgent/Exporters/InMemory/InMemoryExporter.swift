public import PumiceModel
public import PumiceWire

/// Exports in an `InMemoryFabric`, where everything it does is kept.
public struct InMemoryExporter: TargetExporter {
  /// Awaited with a name before each step that changes something, and after the last: `ensure`, `ensure.offered`,
  /// `ensure.done`, `remove`, `remove.refused`, `remove.ended`, `remove.done`, `exports`. To delay, to fail, to crash.
  public typealias Fault = @Sendable (_ step: String) async throws(StorageError) -> Void

  public let fabric: InMemoryFabric
  public let portal: String
  private let disks: [String: InMemoryDisk]
  private let iqnPrefix: String
  private let fault: Fault?

  /// - Parameters:
  ///   - portal: What stands for this node's address in the fabric; unique.
  ///   - disks: Those of the node's backends, by the backend's name.
  public init(
    fabric: InMemoryFabric, portal: String, disks: [String: InMemoryDisk], iqnPrefix: String = "iqn.2026-11.io.pumice",
    fault: Fault? = nil
  ) {
    self.fabric = fabric
    self.portal = portal
    self.disks = disks
    self.iqnPrefix = iqnPrefix
    self.fault = fault
  }

  public var protocolName: String { "memory" }

  public func ensure(_ export: Export) async throws(StorageError) -> ExportedTarget {
    try await reach("ensure")
    guard let entry = disks[export.backend]?.entry(export.volume), entry.isWhole,
      export.path == InMemoryBackend.path(export.backend, export.volume)
    else {
      throw StorageError(.notFound, "Exporting \(export.path) failed: there is no such volume.")
    }
    let iqn = targetName(export.volume)
    fabric.offer(iqn, at: portal, volume: export.volume, path: export.path, size: entry.size)
    try await reach("ensure.offered")
    fabric.admit(
      InMemoryFabric.Admission(
        attachment: export.attachment, initiator: export.initiator, chapUser: export.chapUser,
        chapSecret: export.chapSecret, isReadOnly: export.readOnly),
      to: iqn, at: portal)
    try await reach("ensure.done")
    return ExportedTarget(
      protocolName: protocolName, portals: [portal], iqn: iqn, lun: 1, initiator: export.initiator,
      chapUser: export.chapUser, chapSecret: export.chapSecret)
  }

  public func remove(_ export: Export, remaining: [Export]) async throws(StorageError) {
    try await reach("remove")
    let iqn = targetName(export.volume)
    fabric.refuse(export.attachment, at: iqn, portal: portal)
    try await reach("remove.refused")
    fabric.endUnadmittedSessions(with: iqn, at: portal)
    try await reach("remove.ended")
    if remaining.isEmpty { fabric.withdraw(iqn, at: portal) }
    try await reach("remove.done")
  }

  public func exports() async throws(StorageError) -> [Inventory.Export] {
    try await reach("exports")
    return fabric.targets.filter { $0.portal == portal }.flatMap { target in
      target.admissions.map {
        Inventory.Export(attachment: $0.attachment, volume: target.volume, initiator: $0.initiator)
      }
    }
  }

  private func targetName(_ volume: VolumeID) -> String { "\(iqnPrefix):volume-\(volume)" }

  private func reach(_ step: String) async throws(StorageError) {
    if let fault { try await fault(step) }
  }
}
