import CLibvirt
public import PumiceModel

extension LibvirtHypervisor {
  public func unplug(_ attachment: AttachmentID, from instance: InstanceID) async throws(StorageError) {
    let attempt = "Unplugging attachment \(attachment) from instance \(instance)"
    // Before anything is asked for, so that no answer is missed.
    let outcomes = connection.events.removals.outcomes(of: attachment)
    let isGone = try await gate.withTurn(at: instance) { () throws(StorageError) in
      try await connection.call(attempt) { session throws(StorageError) in
        guard let domain = try session.domain(instance, attempt) else { return true }
        try domain.requestRemoval(of: attachment, attempt)
        return try !domain.state(attempt).hasDisk(of: attachment)
      }
    }
    // The guest takes its time, and meanwhile others may have their turn.
    if !isGone { try await awaitRemoval(of: attachment, from: instance, outcomes, attempt) }
    try await gate.withTurn(at: instance) { () throws(StorageError) in
      try await connection.call(attempt) { session throws(StorageError) in
        if let domain = try session.domain(instance, attempt) {
          try domain.removeForgottenDisk(of: attachment, attempt)
          try domain.closeForgottenSources(attempt)
        }
        try session.removeSecret(of: attachment)
      }
    }
  }

  private enum Verdict: Sendable {
    case gone
    case outcome(RemovalWatch.Outcome)
    case expired
  }

  /// Waits for the guest's answer, and reads the XML anew all the same: it alone says what is, and an event may be lost
  /// with the connection.
  private func awaitRemoval(
    of attachment: AttachmentID, from instance: InstanceID, _ outcomes: AsyncStream<RemovalWatch.Outcome>,
    _ attempt: String
  ) async throws(StorageError) {
    let deadline = ContinuousClock.now + removalTimeout
    let verdict = await withTaskGroup(of: Verdict?.self) { group in
      group.addTask {
        for await outcome in outcomes { return .outcome(outcome) }
        return nil
      }
      group.addTask {
        while ContinuousClock.now < deadline, !Task.isCancelled {
          try? await Task.sleep(for: .seconds(1))
          if await self.isGone(attachment, from: instance, attempt) { return .gone }
        }
        return .expired
      }
      defer { group.cancelAll() }
      for await verdict in group {
        switch verdict {
        case nil: continue
        case .outcome(.removed):
          if await self.isGone(attachment, from: instance, attempt) { return Verdict.gone }
        case .some(let verdict): return verdict
        }
      }
      return .expired
    }
    switch verdict {
    case .gone: return
    case .outcome(.refused), .outcome(.removed):
      throw StorageError(.inUse, "\(attempt) failed: the guest refused to let go of the disk.")
    case .expired:
      throw StorageError(
        .timeout,
        """
        \(attempt) is not done: the guest did not let go of the disk within \(removalTimeout). One that was asked \
        while it booted does so when it reboots.
        """)
    }
  }

  private func isGone(_ attachment: AttachmentID, from instance: InstanceID, _ attempt: String) async -> Bool {
    do throws(StorageError) {
      return try await connection.call(attempt) { session throws(StorageError) in
        guard let domain = try session.domain(instance, attempt) else { return true }
        return try !domain.state(attempt).hasDisk(of: attachment)
      }
    } catch {
      return error.code == .notFound  // It ended between looking it up and reading it.
    }
  }
}

extension DomainHandle {
  /// Takes the disk from the stored configuration, and asks the guest to let go of it.
  ///
  /// By alias: `virDomainDetachDeviceFlags` looks at the target name alone, which may be another disk's by now, and
  /// blocks for seconds when the guest is slow.
  fileprivate func requestRemoval(of attachment: AttachmentID, _ attempt: String) throws(StorageError) {
    let state = try state(attempt)
    if let disk = state.live?.disk(of: attachment), case .image = disk.location, let device = disk.device {
      try endMerge(of: device, attempt)
    }
    if state.stored?.disk(of: attachment) != nil {
      try detach(attachment, VIR_DOMAIN_AFFECT_CONFIG, attempt)
    }
    if state.live?.disk(of: attachment) != nil {
      try detach(attachment, VIR_DOMAIN_AFFECT_LIVE, attempt)
    }
  }

  private func detach(
    _ attachment: AttachmentID, _ part: virDomainModificationImpact, _ attempt: String
  ) throws(StorageError) {
    guard virDomainDetachDeviceAlias(pointer, DiskXML.alias(of: attachment), part.rawValue) != 0 else { return }
    let error = LibvirtError()
    guard error.isAbsence || error.isPendingUnplug else { throw error.storageError(attempt) }
  }
}
