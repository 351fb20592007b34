public import Logging
public import PumiceModel
public import PumiceWire
import Synchronization

/// Exports volumes through LIO, the kernel's own target: one target and one backstore per volume, and per export one
/// initiator entry with a CHAP account of its own.
///
/// It reads what configfs has for a volume, and takes the steps that are missing (`LIOPlan`); other volumes are not
/// looked at. Targets and backstores that somebody else made are left alone, and are a `conflict` where their names are
/// ours. The kernel keeps nothing over a reboot: call `ensure` again for every record then.
///
/// A volume that grows shows its new size to whoever asks again. LIO (6.1) does not tell initiators to: they have to look,
/// as QEMU does for `block_resize` and the kernel's initiator for a rescan.
public final class LIOExporter: TargetExporter {
  public var protocolName: String { "iscsi" }

  private let portals: [String]
  private let prefix: String
  private let configfs: any Configfs
  /// Makes the kernel's part ready. Quick when it is.
  private let prepare: @Sendable () async throws(StorageError) -> Void
  private let patience: Duration
  private let logger: Logger
  private let locks = KeyedLock<Subject>()
  private let memory = Mutex(Memory())

  private enum Subject: Hashable {
    case volume(VolumeID)
    case list
  }

  private struct Memory {
    /// Calls that the kernel has not returned from, and what the volume's target offered before.
    var inKernel: [Subject: [Inventory.Export]] = [:]
    /// Volumes whose target this process has made, or found to be as it shall.
    var standing: Set<VolumeID> = []
  }

  /// - Parameters:
  ///   - portals: Where the targets listen and initiators reach them, as `host:port` with addresses, IPv6 in brackets.
  ///   - iqnPrefix: Targets are called `prefix:volume-UUID`, in lower case.
  public convenience init(
    portals: [String], iqnPrefix: String = "iqn.2026-11.io.pumice", logger: Logger
  ) throws(StorageError) {
    let kernel = LIOKernel()
    try self.init(
      portals: portals, iqnPrefix: iqnPrefix, configfs: KernelConfigfs(), logger: logger
    ) { () async throws(StorageError) in try await kernel.prepare() }
  }

  /// - Parameter patience: How long the kernel may take for one call.
  package init(
    portals: [String], iqnPrefix: String = "iqn.2026-11.io.pumice", configfs: any Configfs,
    patience: Duration = .seconds(10), logger: Logger,
    prepare: @escaping @Sendable () async throws(StorageError) -> Void = {}
  ) throws(StorageError) {
    self.portals = try portals.map { portal throws(StorageError) in
      guard let portal = LIOPortal(portal), !portal.isEverywhere else {
        throw .invalid(
          "portals", "of the lio exporter must be addresses of this machine, as host:port; \"\(portal)\" is none.")
      }
      return portal.name
    }
    self.prefix = iqnPrefix
    self.configfs = configfs
    self.patience = patience
    self.logger = logger
    self.prepare = prepare
  }

  // MARK: TargetExporter

  public func ensure(_ export: Export) async throws(StorageError) -> ExportedTarget {
    try Self.check(export)
    try await prepare()
    let reader = reader(export.volume)
    try await call(.volume(export.volume), "Exporting volume \(export.volume)") { [self] () throws(StorageError) in
      let disk = try LIODisk.at(export.path)
      let present = try reader.state()
      note(present.group, of: reader.names)
      let wanted = try present.offering(export, disk, portals: portals, reader.names)
      try take(LIOPlan.operations(from: present, to: wanted, reader.names))
      memory.withLock { _ = $0.standing.insert(export.volume) }
    }
    return ExportedTarget(
      portals: portals, iqn: reader.names.name, lun: LIONames.unit, initiator: export.initiator,
      chapUser: export.chapUser, chapSecret: export.chapSecret, targetAccount: export.targetAccount)
  }

  /// The kernel ends the sessions of an entry before its removal returns, commands under way included. When a disk does not
  /// answer, that may take for ever: the call then throws `timeout` with the initiator refused and its session not over,
  /// and so do later ones until the disk answers.
  public func remove(_ export: Export, remaining: [Export]) async throws(StorageError) {
    let reader = reader(export.volume)
    try await call(.volume(export.volume), "Fencing \(export.initiator) off volume \(export.volume)") {
      [self] () throws(StorageError) in
      let present = try reader.state()
      note(present.group, of: reader.names)
      let wanted = try present.withdrawing(export, isLast: remaining.isEmpty, reader.names)
      if wanted.group == nil { memory.withLock { _ = $0.standing.remove(export.volume) } }
      try take(LIOPlan.operations(from: present, to: wanted, reader.names))
    }
  }

  public func exports() async throws(StorageError) -> [Inventory.Export] {
    try await call(.list, "Listing the LIO targets") { [self] () throws(StorageError) in
      var exports: [Inventory.Export] = []
      for target in try configfs.list("iscsi")?.folders.sorted() ?? [] {
        guard let names = LIONames(prefix: prefix, target: target) else { continue }
        exports += try offered(names)
      }
      return exports
    }
  }

  public func exports(of volume: VolumeID) async throws(StorageError) -> [Inventory.Export] {
    try await call(.volume(volume), "Reading the LIO target of volume \(volume)") { [self] () throws(StorageError) in
      try offered(reader(volume).names)
    }
  }

  /// Volumes whose targets were made by this process and have gone since: somebody has emptied LIO.
  func lost() async throws(StorageError) -> Set<VolumeID> {
    try await call(.list, "Listing the LIO targets") { [self] () throws(StorageError) in
      let expected = memory.withLock(\.standing)
      guard !expected.isEmpty else { return [] }
      let present =
        try configfs.list("iscsi")?.folders.compactMap { LIONames(prefix: prefix, target: $0)?.volume } ?? []
      let lost = expected.subtracting(present)
      // One that was removed since the first look is not lost.
      return memory.withLock { lost.intersection($0.standing) }
    }
  }

  // MARK: Parts

  private func reader(_ volume: VolumeID) -> LIOReader {
    LIOReader(configfs: configfs, names: LIONames(prefix: prefix, volume: volume))
  }

  private func take(_ operations: [ConfigfsOperation]) throws(StorageError) {
    for operation in operations { try configfs.perform(operation) }
  }

  private func offered(_ names: LIONames) throws(StorageError) -> [Inventory.Export] {
    // A folder that the kernel is busy in can't be listed. What it offered before is what it may still offer.
    if let before = memory.withLock({ $0.inKernel[.volume(names.volume)] }), !before.isEmpty { return before }
    let group = try LIOReader(configfs: configfs, names: names).group(withValues: false)
    return group.map { offered($0, of: names) } ?? []
  }

  private func offered(_ group: LIOTargetState.Group, of names: LIONames) -> [Inventory.Export] {
    guard group.alias == LIONames.alias else { return [] }
    return group.offered.compactMap { initiator, admission in
      guard let attachment = admission.attachment(of: initiator) else {
        logger.warning(
          "initiator without attachment", metadata: ["target.name": "\(names.name)", "initiator.name": "\(initiator)"])
        return nil
      }
      return Inventory.Export(attachment: attachment, volume: names.volume, initiator: initiator)
    }
  }

  private func note(_ group: LIOTargetState.Group?, of names: LIONames) {
    let exports = group.map { offered($0, of: names) } ?? []
    memory.withLock { $0.inKernel[.volume(names.volume)] = exports }
  }

  /// One call per subject at a time, for as long as the kernel takes.
  private func call<Value: Sendable>(
    _ subject: Subject, _ attempt: String, _ body: @escaping @Sendable () throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await locks.withLock(subject) { () async throws(StorageError) in
      let isBusy = memory.withLock { memory in
        if memory.inKernel[subject] != nil { return true }
        memory.inKernel[subject] = []
        return false
      }
      guard !isBusy else { throw Self.stuck(attempt) }
      return try await BlockingCalls.run(within: patience, attempt) { [self] () throws(StorageError) in
        defer { memory.withLock { $0.inKernel[subject] = nil } }
        return try body()
      }
    }
  }

  private static func stuck(_ attempt: String) -> StorageError {
    StorageError(
      .timeout,
      "\(attempt) failed: an earlier call is still waiting in the kernel, probably for a disk that does not answer.")
  }

  private static func check(_ export: Export) throws(StorageError) {
    try checkISCSIName("initiator", export.initiator)
    // LIO takes them for numbers, and finds another name than it was given.
    guard !["0x", "0b"].contains(export.chapUser.prefix(2).lowercased()) else {
      throw .invalid("chapUser", "must not begin with 0x or 0b when the target is LIO.")
    }
    var words = [("chapUser", export.chapUser), ("chapSecret", export.chapSecret)]
    if let account = export.targetAccount {
      words += [("targetAccount.user", account.user), ("targetAccount.secret", account.secret)]
    }
    for (field, text) in words {
      guard 1...255 ~= text.utf8.count, text.utf8.allSatisfy({ 0x21...0x7e ~= $0 }), !LIOReader.isUnset(text) else {
        throw .invalid(
          field, "must be 1 to 255 printable characters without spaces, and not begin with \(LIOReader.noSecret).")
      }
    }
  }
}
