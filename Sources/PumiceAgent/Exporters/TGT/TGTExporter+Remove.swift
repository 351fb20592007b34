import Glibc
import Logging
import PumiceModel

/// The fence. After it an initiator can't log in, and no session of it is left that could.
extension TGTExporter {
  /// How long tgtd may take to end sessions whose commands are under way.
  static let patience = Duration.seconds(10)

  func fence(_ export: Export, remaining: [Export]) throws(StorageError) {
    guard var target = try session.target(named: targetName(export.volume)) else {
      try session.deleteAccount(export.chapUser)
      return
    }
    // Kernel initiators have one name per node: another attachment there may still need it.
    let isShared = remaining.contains { $0.initiator == export.initiator }
    if !isShared { try session.refuse(export.initiator, at: target) }
    forgetSecret(of: export)
    try unbindAccount(export.chapUser, from: &target)
    try session.deleteAccount(export.chapUser)
    if remaining.isEmpty {
      try dismantle(target)
    } else if !isShared {
      try endSessions(of: target) { $0.initiator.lowercased() == export.initiator.lowercased() }
    }
  }

  /// Takes a whole target away: nobody is admitted, no session is left, and tgtd knows it no more.
  func dismantle(_ target: TGTTarget) throws(StorageError) {
    for initiator in target.admissions { try session.refuse(initiator, at: target) }
    try endSessions(of: target) { _ in true }
    let start = ContinuousClock.now
    while true {
      if try session.deleteTarget(target), try session.target(named: target.name) == nil { return }
      try wait(since: start, "Deleting target \(target.name) failed: it still has commands under way")
    }
  }

  /// Ends sessions and sees that they are gone; a session stays while its commands are under way.
  private func endSessions(
    of target: TGTTarget, where isMeant: (TGTTarget.Nexus) -> Bool
  ) throws(StorageError) {
    let start = ContinuousClock.now
    while let current = try session.target(named: target.name) {
      let left = current.nexuses.filter(isMeant)
      if left.isEmpty { return }
      for nexus in left { try session.close(nexus, of: current) }
      try wait(
        since: start, "Ending the session of \(left[0].initiator) with \(target.name) failed: tgtd still shows it")
    }
  }

  func endUnadmittedSessions(of target: TGTTarget) throws(StorageError) {
    for nexus in target.nexuses
    where !target.admissions.contains(where: { $0.lowercased() == nexus.initiator.lowercased() }) {
      logger.warning(
        "session of an initiator that is not admitted is ended",
        metadata: ["target.name": "\(target.name)", "initiator.name": "\(nexus.initiator)"])
      try session.close(nexus, of: target)
    }
  }

  func wait(since start: ContinuousClock.Instant, _ problem: @autoclosure () -> String) throws(StorageError) {
    guard ContinuousClock.now - start < Self.patience else {
      throw StorageError(.timeout, "\(problem()) after \(Self.patience).")
    }
    usleep(10_000)
  }
}
