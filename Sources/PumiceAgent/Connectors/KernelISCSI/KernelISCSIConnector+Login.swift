import Logging
import PumiceModel
import PumiceWire

/// Sessions: one per portal that is used.
extension KernelISCSIConnector {
  /// Logs in where it is not logged in yet: at every portal that lets it, or at the first if paths are not to be joined.
  ///
  /// Throws what the last portal said if none does.
  func logIn(
    _ attachment: AttachmentID, _ target: ExportedTarget, at portals: [ISCSIPortal], joinsPaths: Bool
  ) async throws(StorageError) -> [KernelSession] {
    var standing = try await look(for: attachment).sessions
    // A repeat shall not wait for a portal that was dead the first time.
    let order = portals.filter { portal in standing.contains { $0.isLoggedIn && $0.portal == portal } }
    let ordered = order + portals.filter { !order.contains($0) }
    var records: [NodeRecord] = []
    for portal in ordered {
      records.append(try NodeRecord(attachment, target, at: portal, recovery: joinsPaths ? .failsOver : .waits))
    }
    var outdated: [KernelSession] = []
    for record in records {
      for session in standing where session.leads(to: record.target, at: record.portal) {
        if try await !speaks(session, for: record) { outdated.append(session) }
      }
    }
    if !outdated.isEmpty {
      try await refuseIfUsed(standing)
      for session in outdated { try await end(session) }
      standing = try await look(for: attachment).sessions
    }
    return joinsPaths ? try await logInEverywhere(records, standing) : [try await logInSomewhere(records, standing)]
  }

  private func logInSomewhere(
    _ records: [NodeRecord], _ standing: [KernelSession]
  ) async throws(StorageError) -> KernelSession {
    var failure = StorageError.invalid("target.portals", "must not be empty.")
    for record in records {
      do throws(StorageError) {
        return try await logIn(record, standing)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  private func logInEverywhere(
    _ records: [NodeRecord], _ standing: [KernelSession]
  ) async throws(StorageError) -> [KernelSession] {
    let results = await withTaskGroup(of: Result<KernelSession, StorageError>.self) { group in
      for record in records {
        group.addTask {
          do throws(StorageError) {
            return .success(try await logIn(record, standing))
          } catch {
            return .failure(error)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    var sessions: [KernelSession] = []
    var failure = StorageError.invalid("target.portals", "must not be empty.")
    for result in results {
      switch result {
      case .success(let session): sessions.append(session)
      case .failure(let error):
        failure = error
        logger.warning("a path to a target is missing", metadata: ["error": "\(error)"])
      }
    }
    guard !sessions.isEmpty else { throw failure }
    return sessions.sorted { $0.number < $1.number }
  }

  /// The session of this record: the one that stands, or a new one.
  private func logIn(
    _ record: NodeRecord, _ standing: [KernelSession]
  ) async throws(StorageError) -> KernelSession {
    if let session = standing.first(where: { $0.leads(to: record.target, at: record.portal) }) {
      guard session.isLoggedIn else {
        throw StorageError(
          .unavailable,
          "The session with \(record.target) at \(record.portal) is down (\(session.state)); iscsid is bringing it back."
        )
      }
      try await keep(session, as: record)
      return session
    }
    let database = places.database
    try await BlockingCalls.run { () throws(StorageError) in try database.write(record) }
    do throws(StorageError) {
      let interface = NodeRecord.interface(of: record.attachment)
      try await retrying { () throws(StorageError) in
        try await admin.logIn(to: record.target, at: record.portal, as: interface)
      }
      let session = try await wait(.seconds(5)) { () throws(StorageError) in
        try await look(for: record.attachment).sessions.first {
          $0.leads(to: record.target, at: record.portal) && $0.isLoggedIn
        }
      }
      guard let session else {
        throw StorageError(
          .unavailable,
          "Logging in to \(record.target) at \(record.portal) succeeded, but the kernel shows no session of it.")
      }
      return session
    } catch {
      try? await BlockingCalls.run { () throws(StorageError) in try database.remove(record.entry) }
      throw error
    }
  }

  /// iscsiadm walks through all records, and stumbles over one that another call has just deleted.
  private func retrying(_ body: () async throws(StorageError) -> Void) async throws(StorageError) {
    for _ in 0..<4 {
      do throws(StorageError) {
        return try await body()
      } catch {
        guard error.cause as? ISCSIAdminStatus == .code(.database) else { throw error }
      }
    }
    try await body()
  }

  /// Whether the session was made with the record's name and secret, as far as the kernel tells.
  private func speaks(_ session: KernelSession, for record: NodeRecord) async throws(StorageError) -> Bool {
    let sysfs = places.sysfs
    return try await BlockingCalls.run { () throws(StorageError) in
      let folder = "class/iscsi_session/\(session.name)"
      let user = sysfs.text("\(folder)/username") ?? record.chapUser
      let secret = sysfs.text("\(folder)/password") ?? record.chapSecret
      // One that stands was not asked to be let in again since the target got another account.
      let isTrusted =
        record.targetAccount.map { account in
          [("username_in", account.user), ("password_in", account.secret)].allSatisfy { name, wanted in
            let text = sysfs.text("\(folder)/\(name)") ?? ""
            return text.isEmpty || text == "(null)" || text == wanted
          }
        } ?? true
      return session.initiator == record.initiator && user == record.chapUser && secret == record.chapSecret
        && isTrusted
    }
  }

  /// What a later release or another number of portals would write today. The kernel's own copy counts while it runs.
  func keep(_ session: KernelSession, as record: NodeRecord) async throws(StorageError) {
    let (sysfs, database) = (places.sysfs, places.database)
    try await BlockingCalls.run { () throws(StorageError) in
      if !database.holds(record) { try database.write(record) }
      let path = "class/iscsi_session/\(session.name)/recovery_tmo"
      let seconds = String(record.recovery.seconds)
      if sysfs.text(path) != seconds {
        try sysfs.write(seconds, to: path, "Setting the recovery time of \(session.name)")
      }
    }
  }
}
