import Logging
public import PumiceModel
public import PumiceWire

/// Exports. The record is written before the target is touched, and deleted after it: whatever a crash leaves at the
/// target has a record, by which it is restored or removed.
extension NodeService {
  public func ensureExport(_ id: AttachmentID, _ request: ExportRequest) async throws(StorageError) -> ExportedTarget {
    try request.check()
    try admit(request.incarnation)
    let backend = try backend(named: request.backend)
    if request.isLocal { try requireLocal(request, backend) }
    try requireShared(request, backend)
    return try await locks.withLock(.export(id)) { () async throws(StorageError) in
      var record = exports.record(of: id)
      try gate.admit(.export(id), request.revision, recorded: record?.export.revision)
      if let export = record?.export {
        guard export.volume == request.volume, export.backend == request.backend, export.pool == request.pool else {
          throw StorageError(
            .conflict,
            "Attachment \(id) is an export of volume \(export.volume), so it can't be one of \(request.volume).")
        }
      }
      return try await locks.withLock(.volume(request.volume)) { () async throws(StorageError) in
        guard let stored = try await backend.volume(request.volume), stored.pool == request.pool else {
          throw StorageError(
            .notFound,
            "Volume \(request.volume) can't be exported: it is not on pool \(request.backend)#\(request.pool) of node \(identity.name)."
          )
        }
        try requireAlone(id, stored, on: backend)
        if let old = record, old.export.initiator != request.initiator || old.export.readOnly != request.readOnly {
          // Another initiator is another export: the old one is fenced, and its secret goes with it.
          try await fence(old)
          record = nil
        }
        var new = record ?? ExportRecord(export(id, request, of: stored))
        // A session that stands is not touched by either.
        if request.authenticatesTarget != true {
          new.export.targetAccount = nil
        } else if new.export.targetAccount == nil {
          new.export.targetAccount = makeTargetAccount(for: id)
        }
        let isInUse = isInUse(request.volume, on: backend)
        return try await offer(new.with(revision: request.revision), stored, isInUse: isInUse)
      }
    }
  }

  public func removeExport(_ id: AttachmentID, _ request: ExportRemoval) async throws(StorageError) {
    try request.check()
    try await locks.withLock(.export(id)) { () async throws(StorageError) in
      let record = exports.record(of: id)
      try gate.admit(.export(id), request.revision, recorded: record?.export.revision)
      if let record {
        try await locks.withLock(.volume(record.export.volume)) { () async throws(StorageError) in
          try await fence(record.with(revision: request.revision))
        }
      } else if let standing = try await drivers.exporter?.exports().first(where: { $0.attachment == id }) {
        // Nobody knows what lies behind it, nor its secret; neither is needed to take it away.
        let export = Export(
          attachment: id, volume: standing.volume, revision: request.revision, backend: "", pool: "", path: "",
          initiator: standing.initiator, readOnly: false, chapUser: CHAPAccount.user(for: id), chapSecret: "")
        logger.warning("export without a record is removed", metadata: ["attachment.id": "\(id)"])
        try await locks.withLock(.volume(standing.volume)) { () async throws(StorageError) in
          try await withdraw(export)
        }
      }
    }
  }

  /// Throws `inUse` while the volume is, or may be, somebody else's; unless it was made for several.
  private func requireAlone(
    _ id: AttachmentID, _ stored: StoredVolume, on backend: any VolumeBackend
  ) throws(StorageError) {
    guard !stored.isMultiattach,
      let other = exports(of: stored.id, on: backend.name).first(where: { $0.attachment != id })
    else { return }
    throw StorageError(
      .inUse,
      "Volume \(stored.id) can't be exported for attachment \(id): it is for one instance, and is exported to "
        + "\(other.export.initiator) for attachment \(other.attachment).")
  }

  func exports(of volume: VolumeID, on backend: String) -> [ExportRecord] {
    exports.all.filter { $0.export.volume == volume && $0.export.backend == backend }
  }

  /// Those that shall stand.
  func standingExports(of volume: VolumeID, on backend: String) -> [ExportRecord] {
    exports(of: volume, on: backend).filter { !$0.isLeaving }
  }

  /// Makes the target offer the volume as the record says. Inside the volume's lock.
  ///
  /// - Parameter isInUse: Whether somebody may use the volume already.
  func offer(
    _ record: ExportRecord, _ stored: StoredVolume, isInUse: Bool = true
  ) async throws(StorageError) -> ExportedTarget {
    var record = record
    record.export.path = stored.path
    record.isLeaving = false
    if exports.record(of: record.attachment) != record { try await exports.put(record) }
    if let backend = try backend(named: record.export.backend) as? any ActivatingBackend {
      try await backend.activate(record.export.volume, pool: record.export.pool)
    }
    var target =
      if record.export.isShared {
        try await sharedTarget(of: record.export, isInUse: isInUse)
      } else if record.export.isLocal {
        record.export.localTarget
      } else {
        try await exporter().ensure(record.export)
      }
    if stored.isMultiattach { target.shareable = true }
    return target
  }

  /// Refuses the initiator, and forgets the record once that is certain. Inside the volume's lock.
  private func fence(_ record: ExportRecord) async throws(StorageError) {
    var record = record
    record.isLeaving = true
    if exports.record(of: record.attachment) != record { try await exports.put(record) }
    try await withdraw(record.export)
    let export = record.export
    if standingExports(of: export.volume, on: export.backend).isEmpty,
      let backend = drivers.backends.first(where: { $0.name == export.backend }) as? any ActivatingBackend
    {
      try await backend.deactivate(export.volume, pool: export.pool)
    }
    try await exports.remove(record.attachment)
  }

  private func withdraw(_ export: Export) async throws(StorageError) {
    if export.hasNoTarget { return try await requireUnplugged(export) }
    let exporter = try exporter()
    let remaining = exports.all.map(\.export).filter {
      $0.volume == export.volume && $0.attachment != export.attachment
    }
    try await exporter.remove(export, remaining: remaining)
    guard try await !exporter.exports(of: export.volume).contains(where: { $0.attachment == export.attachment }) else {
      throw StorageError(
        .failed, "Fencing \(export.initiator) off volume \(export.volume) failed: the target still offers it.")
    }
  }

  private func exporter() throws(StorageError) -> any TargetExporter {
    guard let exporter = drivers.exporter else {
      throw StorageError(.unsupported, "Node \(identity.name) has no exporter, so it can't export volumes.")
    }
    return exporter
  }

  private func export(_ id: AttachmentID, _ request: ExportRequest, of stored: StoredVolume) -> Export {
    let account = makeAccount(for: id)
    return Export(
      attachment: id, volume: request.volume, revision: request.revision, backend: request.backend, pool: request.pool,
      path: stored.path, initiator: request.initiator, readOnly: request.readOnly, chapUser: account.user,
      chapSecret: account.secret)
  }
}

extension ExportRecord {
  fileprivate func with(revision: Revision) -> Self {
    var copy = self
    copy.export.revision = max(revision, export.revision)
    return copy
  }
}
