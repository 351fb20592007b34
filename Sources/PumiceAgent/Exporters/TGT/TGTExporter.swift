public import Logging
public import PumiceModel
public import PumiceWire
import Synchronization

/// Exports volumes through tgtd: a target per volume, LUN 1, and an account and an initiator name per export.
///
/// It drives tgtd over its management socket, from whatever state the targets are in, and touches no target whose name
/// does not begin with its prefix. tgtd keeps nothing when it ends: call `ensure` again for every record then, as
/// `TGTDaemon` asks for.
///
/// What a guest has flushed is on disk. The logical unit reports a write cache, so initiators flush, and tgtd answers a
/// whole-unit SYNCHRONIZE CACHE with fdatasync(2). Without the write cache it would be worse, not better: tgtd 1.0.85 then,
/// and for writes with FUA, only starts the write-back (`sync_file_range`) before it answers. So the disk's cache mode in
/// the domain must be one that flushes (`none`, `writeback`), not one that relies on FUA.
///
/// A unit is read-only for all initiators of a volume or for none: it is so while its only export asks for it.
public final class TGTExporter: TargetExporter {
  public var protocolName: String { "iscsi" }

  let session: TGTSession
  let portals: [String]
  let iqnPrefix: String
  let logger: Logger
  /// Held while a target gets its id: tgtd lets the client choose.
  let creation = Mutex(())
  private let memory = Mutex(Memory())

  /// What tgtd can't be asked for. Losing it costs only work.
  private struct Memory {
    /// The accounts that were made by this process, with their secrets.
    var secrets: [String: String] = [:]
    var attachments: [Admission: AttachmentID] = [:]
  }

  private struct Admission: Hashable {
    let target: String
    let initiator: String
  }

  /// - Parameters:
  ///   - socketPath: tgtd's management socket, control port included, such as `/var/run/tgtd/socket.0`.
  ///   - portals: Where initiators reach tgtd, as `host:port`, IPv6 in brackets.
  ///   - iqnPrefix: Targets are called `prefix:volume-UUID`.
  public init(
    socketPath: String, portals: [String], iqnPrefix: String = "iqn.2026-11.io.pumice", logger: Logger
  ) {
    session = TGTSession(client: TGTClient(socketPath: socketPath))
    self.portals = portals
    self.iqnPrefix = iqnPrefix
    self.logger = logger
  }

  public func ensure(_ export: Export) async throws(StorageError) -> ExportedTarget {
    try await BlockingCalls.run { [self] () throws(StorageError) in
      try assemble(export)
      remember(export)
      return ExportedTarget(
        portals: portals, iqn: targetName(export.volume), lun: Int(Self.unit), initiator: export.initiator,
        chapUser: export.chapUser, chapSecret: export.chapSecret)
    }
  }

  public func remove(_ export: Export, remaining: [Export]) async throws(StorageError) {
    try await BlockingCalls.run { [self] () throws(StorageError) in
      try fence(export, remaining: remaining)
      forget(export)
    }
  }

  /// Sessions of initiators that are not admitted, such as one whose login overlapped with a `remove`, are ended on the way.
  public func exports() async throws(StorageError) -> [Inventory.Export] {
    try await BlockingCalls.run { [self] () throws(StorageError) in
      var exports: [Inventory.Export] = []
      for target in try session.targets() {
        guard let volume = volume(of: target) else { continue }
        try endUnadmittedSessions(of: target)
        exports += offered(target, volume)
      }
      return exports
    }
  }

  // MARK: Names

  /// The logical unit with the data; LUN 0 is tgtd's own.
  static let unit: UInt64 = 1

  func targetName(_ volume: VolumeID) -> String { "\(iqnPrefix):volume-\(volume)" }

  /// The volume behind a target of ours; `nil` for anybody else's.
  func volume(of target: TGTTarget) -> VolumeID? {
    let prefix = "\(iqnPrefix):volume-"
    return target.name.hasPrefix(prefix) ? VolumeID(String(target.name.dropFirst(prefix.count))) : nil
  }

  // MARK: Memory

  /// Whether this process gave the account this very secret.
  func knows(_ export: Export) -> Bool {
    memory.withLock { $0.secrets[export.chapUser] == export.chapSecret }
  }

  private func remember(_ export: Export) {
    memory.withLock {
      $0.secrets[export.chapUser] = export.chapSecret
      $0.attachments[Admission(target: targetName(export.volume), initiator: export.initiator)] = export.attachment
    }
  }

  func forgetSecret(of export: Export) {
    memory.withLock { $0.secrets[export.chapUser] = nil }
  }

  private func forget(_ export: Export) {
    memory.withLock {
      $0.secrets[export.chapUser] = nil
      let admission = Admission(target: targetName(export.volume), initiator: export.initiator)
      if $0.attachments[admission] == export.attachment { $0.attachments[admission] = nil }
    }
  }

  /// What a target offers: one export per admitted initiator, if it has a disk and asks for a secret.
  private func offered(_ target: TGTTarget, _ volume: VolumeID) -> [Inventory.Export] {
    let accounts = target.accounts.filter { $0 != TGTAccounts.guardName }
    guard let unit = target.unit(Self.unit), unit.isOnline, unit.path != nil, !accounts.isEmpty else { return [] }
    let remembered = memory.withLock { $0.attachments }
    return target.admissions.compactMap { initiator in
      let attachment =
        remembered[Admission(target: target.name, initiator: initiator)]
        ?? Self.attachment(named: initiator)
        ?? (accounts.count == 1 && target.admissions.count == 1 ? Self.attachment(named: accounts[0]) : nil)
      guard let attachment else {
        logger.warning(
          "initiator without attachment", metadata: ["target.name": "\(target.name)", "initiator.name": "\(initiator)"])
        return nil
      }
      return Inventory.Export(attachment: attachment, volume: volume, initiator: initiator)
    }
  }

  /// The attachment id that a name ends with, as in `iqn.2026-11.io.pumice:node-1:UUID`.
  private static func attachment(named name: String) -> AttachmentID? {
    name.utf8.count >= 36 ? AttachmentID(String(name.suffix(36))) : nil
  }
}
