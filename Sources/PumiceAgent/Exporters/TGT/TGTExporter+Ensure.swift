import Glibc
import Logging
import PumiceModel
import Synchronization

/// The steps that make a target so, each skipped where it is so already. The initiator is admitted last, when there is a disk
/// behind the target and a secret before it.
extension TGTExporter {
  func assemble(_ export: Export) throws(StorageError) {
    try Self.check(export)
    let size = try Self.size(of: export.path)
    var target = try findOrCreate(targetName(export.volume))
    if let unit = target.unit(Self.unit), unit.path != export.path {
      logger.warning(
        "target with another file is made anew",
        metadata: ["target.name": "\(target.name)", "unit.path": "\(unit.path ?? "none")"])
      try dismantle(target)
      target = try findOrCreate(target.name)
    }
    try ensureGuard(&target)
    try ensureUnit(of: target, export, size)
    try ensureAccount(&target, export)
    if !target.admissions.contains(export.initiator) { try session.admit(export.initiator, to: target) }
    try ensureSize(of: target, export, size)
  }

  private func findOrCreate(_ name: String) throws(StorageError) -> TGTTarget {
    try creation.withLock { _ throws(StorageError) in
      // Somebody else's target may take the id between the look and the call.
      for _ in 0..<16 {
        let targets = try session.targets()
        if let target = targets.first(where: { $0.name == name }) { return target }
        let id = (targets.map(\.id).max() ?? 0) + 1
        if try session.createTarget(id, name) { return TGTTarget(id: id, name: name) }
      }
      throw StorageError(.unavailable, "Creating target \(name) failed: others took every id that was tried.")
    }
  }

  /// See `TGTAccounts` for what the guard is for.
  private func ensureGuard(_ target: inout TGTTarget) throws(StorageError) {
    guard !target.accounts.contains(TGTAccounts.guardName) else { return }
    _ = try session.createAccount(TGTAccounts.guardName, secret: "\(AttachmentID.random())".filter { $0 != "-" })
    try session.perform(.bind(TGTAccounts.guardName), on: target)
    target.accounts.append(TGTAccounts.guardName)
  }

  private func ensureUnit(of target: TGTTarget, _ export: Export, _ size: ByteCount) throws(StorageError) {
    let existing = target.unit(Self.unit)
    if existing == nil {
      try session.createUnit(Self.unit, path: export.path, in: target)
      try markSize(of: target, size)
    }
    let id = "\(export.volume)"
    if existing?.serial != id || existing?.scsiID != id || existing?.isThin != true {
      try session.updateUnit(
        Self.unit, of: target,
        [
          ("vendor_id", "PUMICE"), ("product_id", "VOLUME"), ("product_rev", "1"), ("scsi_sn", id), ("scsi_id", id),
          ("thin_provisioning", "1"),
        ])
    }
    let isOnlyExport = target.admissions.allSatisfy { $0 == export.initiator }
    let readOnly = export.readOnly && (isOnlyExport || existing?.isReadOnly == true)
    if (existing?.isReadOnly ?? false) != readOnly {
      try session.updateUnit(Self.unit, of: target, [("readonly", readOnly ? "1" : "0")])
    }
  }

  private func ensureAccount(_ target: inout TGTTarget, _ export: Export) throws(StorageError) {
    let user = export.chapUser
    if target.accounts.contains(user) {
      if knows(export) { return }
      try unbindAccount(user, from: &target)
    }
    if try !session.createAccount(user, secret: export.chapSecret) {
      // tgtd does not say which secret an account has.
      try session.deleteAccount(user)
      _ = try session.createAccount(user, secret: export.chapSecret)
    }
    try session.perform(.bind(user), on: target)
    target.accounts.append(user)
  }

  func unbindAccount(_ user: String, from target: inout TGTTarget) throws(StorageError) {
    for step in TGTAccounts.removal(of: user, from: target.accounts) { try session.perform(step, on: target) }
    target.accounts.removeAll { $0 == user }
  }

  // MARK: Size

  /// Opens the file anew if it has grown, or the unit is offline. tgtd reads the size only then, and shows it in rounded
  /// megabytes, so the bytes are noted where they can be seen: as the serial of LUN 0, which nobody uses.
  private func ensureSize(of target: TGTTarget, _ export: Export, _ size: ByteCount) throws(StorageError) {
    guard let unit = target.unit(Self.unit) else { return }
    guard !unit.isOnline || target.unit(0)?.serial != Self.sizeMark(size) else { return }
    if unit.isOnline {
      try whileQuiet(target, export) { () throws(StorageError) in try reopen(target, export) }
    } else {
      try reopen(target, export)
    }
    try markSize(of: target, size)
  }

  private func reopen(_ target: TGTTarget, _ export: Export) throws(StorageError) {
    try session.updateUnit(
      Self.unit, of: target, [("removable", "1"), ("online", "0"), ("path", export.path), ("removable", "0")])
  }

  /// Does something while no command of any session is at work on the file, with all sessions up.
  ///
  /// For an instant of a re-open the unit has no file, and what tgtd's threads do then fails: with several commands under
  /// way, one in a few re-opens gave a guest a medium error (1.0.85). So the unit's queue is held, and drained, before.
  private func whileQuiet(
    _ target: TGTTarget, _ export: Export, _ body: () throws(StorageError) -> Void
  ) throws(StorageError) {
    guard let portal = portals.first else { throw .invalid("portals", "of the tgt exporter must not be empty.") }
    var holder = try ISCSISession(
      ISCSISession.Address(portal: portal, iqn: target.name, lun: Int(Self.unit)), initiator: export.initiator,
      user: export.chapUser, secret: export.chapSecret, deadline: Self.patience)
    guard try holder.capacity() >= ISCSISession.leastHeldSize else { return try body() }
    try holder.occupyQueue(deadline: Self.patience)
    let start = ContinuousClock.now
    while try !session.isIdle(Self.unit, of: target) {
      try wait(since: start, "Quieting \(target.name) failed: commands are still under way")
    }
    // Flushes are not counted. They have begun by now, and need no more than a look at the file to be safe.
    usleep(5_000)
    try body()
    holder.letGo()
  }

  private func markSize(of target: TGTTarget, _ size: ByteCount) throws(StorageError) {
    try session.updateUnit(0, of: target, [("scsi_sn", Self.sizeMark(size))])
  }

  private static func sizeMark(_ size: ByteCount) -> String { "size-\(size.bytes)" }

  // MARK: Checks

  /// tgtd's requests are lists with commas, and it knows no quotes.
  private static func check(_ export: Export) throws(StorageError) {
    for (what, text) in [
      ("path", export.path), ("initiator", export.initiator), ("chapUser", export.chapUser),
      ("chapSecret", export.chapSecret),
    ] {
      if text.isEmpty || text.utf8.contains(where: { $0 < 0x21 || $0 == 0x7f || $0 == UInt8(ascii: ",") }) {
        throw .invalid(what, "of an export must not be empty or have spaces, commas or control characters.")
      }
    }
    guard export.path.hasPrefix("/") else { throw .invalid("path", "of an export must be absolute.") }
  }

  /// What tgtd will offer: a file's size, or a block device's.
  private static func size(of path: String) throws(StorageError) -> ByteCount {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
      throw StorageError(
        errno == ENOENT ? .notFound : .failed,
        "Opening \(path) to export it failed: \(String(cString: strerror(errno))).")
    }
    defer { close(file) }
    let size = lseek(file, 0, SEEK_END)
    guard size > 0 else { throw StorageError(.failed, "\(path) is empty or has no size, so it can't be exported.") }
    return ByteCount(Int64(size))
  }
}
