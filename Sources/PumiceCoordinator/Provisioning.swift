import HashTreeCollections
public import PumiceModel

/// What the reconciler writes about volumes: placement and the outcome of each call. Each is one transaction.
extension Tables {
  /// Finds a pool for a volume that is on none. A copy can only be made where its source lies.
  ///
  /// Where none fits, the volume ends as `error` with every pool's reason, unless a node that may have room has not
  /// reported since the coordinator started: then the volume waits for it.
  public mutating func place(
    _ volume: Volume, policy: Policy, requestID: String? = nil, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard volume.pendingWork == .place else { return }
    var volume = volume
    guard volume.triedPools.count < policy.maxPlacementAttempts else {
      return try fail(
        volume,
        "\(volume.label) could not be created on any of \(volume.triedPools.count) pools. "
          + (volume.retry.lastError ?? ""), action: .create, requestID: requestID, at: now, in: surroundings)
    }
    var request = PlacementRequest(
      size: volume.size, availabilityZone: volume.requestedZone,
      extraSpecs: types[volume.type]?.extraSpecs ?? [:], excluded: volume.triedPools)
    if let hints = volume.hints { request.neighbours = neighbours(by: hints) }
    let only = volume.source.flatMap { pool(of: $0) }
    let pools =
      volume.source == nil
      ? poolStates(policy: policy, at: now)
      : [only.flatMap { poolState($0, policy: policy, at: now) }].compactMap(\.self)
    switch Scheduler(weighing: policy.weighing).place(request, on: pools, roll: surroundings.roll()) {
    case .placed(let pool, let zone):
      try volume.place(on: pool, availabilityZone: zone, at: now)
      put(volume)
    case .refused(let refusals):
      if isWaitingForNodes(only: only?.node, policy: policy, at: now) {
        volume.retry.notBefore = now + .seconds(1)
        volume.retry.lastError = "Waiting for nodes that have not reported yet."
        put(volume)
      } else {
        var reason = PoolRefusal.summary(refusals, for: request)
        if let only, refusals.isEmpty { reason = "Pool \(only), where its source lies, is not reported by its node." }
        try fail(volume, reason, action: .schedule, requestID: requestID, at: now, in: surroundings)
      }
    }
  }

  private func neighbours(by hints: PlacementHints) -> PlacementNeighbours {
    PlacementNeighbours(
      near: hints.sameBackend.isEmpty ? nil : hints.sameBackend.compactMap { volumes[$0]?.pool },
      apart: hints.differentBackend.compactMap { volumes[$0]?.pool },
      // Nowhere, while nobody knows the instance.
      node: hints.instance.map { nodeRunning($0) ?? "" })
  }

  private func pool(of source: VolumeSource) -> PoolName? {
    switch source {
    case .snapshot(let id, _): snapshots[id]?.pool
    case .volume(let id): volumes[id]?.pool
    }
  }

  private mutating func fail(
    _ volume: Volume, _ reason: String, action: UserMessage.Action, requestID: String?, at now: Timestamp,
    in surroundings: Surroundings
  ) throws(StorageError) {
    var volume = volume
    try volume.fail(reason, at: now)
    put(volume)
    note(action, of: volume, reason, requestID: requestID, at: now, in: surroundings)
  }

  /// The pool has the volume with the size that was asked for.
  public mutating func confirm(_ asked: Volume, at now: Timestamp) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    try volume.confirm(at: now)
    put(volume)
  }

  /// Provisioning goes on; ask again in a moment.
  public mutating func noteProgress(_ asked: Volume, _ done: Double, at now: Timestamp) {
    guard var volume = unchanged(asked) else { return }
    volume.retry.progressed(to: done, at: now)
    put(volume)
  }

  /// A pool could not make the volume: again later, or, after a permanent error or too many tries, another pool. For a copy
  /// there is no other: it ends as `error`, with the reason.
  public mutating func noteProvisionFailure(
    _ asked: Volume, _ error: StorageError, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var volume = unchanged(asked), let pool = volume.pool else { return }
    if isOnlyToWait(after: error, on: [pool.node], policy: policy, at: now) {
      volume.retry.postponed(error, at: now)
      return put(volume)
    }
    let isCopy = volume.source != nil
    let attempts = isCopy ? policy.maxCopyAttempts : policy.maxProvisionAttempts
    // There is nowhere else for a copy to go, so a node that is down is waited for.
    let mayAnswer = isCopy ? nodes[pool.node]?.isLost != true : isUp(pool.node, policy: policy, at: now)
    if error.isTransient, volume.retry.attempts + 1 < attempts, mayAnswer {
      volume.retry.failed(error, at: now)
      put(volume)
      return
    }
    try volume.abandonPool(because: error, at: now)
    put(volume)
    leave(Residue(of: volume, on: pool))
    if isCopy {
      return try fail(volume, error.message, action: .create, requestID: nil, at: now, in: surroundings)
    }
    try place(volume, policy: policy, at: now, in: surroundings)
  }

  /// An extend failed: again later, or given up with the old size and a message.
  public mutating func noteExtendFailure(
    _ asked: Volume, _ error: StorageError, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    if isOnlyToWait(after: error, on: [volume.pool?.node], policy: policy, at: now) {
      volume.retry.postponed(error, at: now)
      return put(volume)
    }
    volume.retry.failed(error, at: now)
    if !error.isTransient || volume.retry.attempts >= policy.maxExtendAttempts {
      try volume.failExtending(error.message, at: now)
      note(.extend, of: volume, error.message, requestID: nil, at: now, in: surroundings)
    }
    put(volume)
  }

  /// The storage has grown, but an instance could not be told: the size holds, and the attachments are seen to later.
  public mutating func confirmExtendAndRepair(_ asked: Volume, at now: Timestamp) throws(StorageError) {
    guard unchanged(asked) != nil else { return }
    try confirm(asked, at: now)
    for var attachment in holders(of: asked.id) {
      attachment.repair(at: now)
      put(attachment)
    }
  }

  /// An erase failed: it is tried again for as long as it takes, unless the pool has snapshots of the volume that the store does
  /// not know. Those are nobody's to erase here, and so the volume stays, with a message.
  ///
  /// - Parameter found: What snapshots of the volume the pool has.
  public mutating func noteEraseFailure(
    _ asked: Volume, _ error: StorageError, with found: [SnapshotID] = [], at now: Timestamp,
    in surroundings: Surroundings
  ) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    let strangers = found.filter { id in
      snapshots[id] == nil && !residues.keys.contains { $0.snapshot == id }
    }
    if let first = strangers.first {
      let label = strangers.count == 1 ? "snapshot \(first)" : "\(strangers.count) snapshots, such as \(first),"
      try volume.giveUpDeleting(at: now)
      note(
        .delete, of: volume,
        "\(volume.label) was not deleted: on its node it has \(label) that nobody manages. Have that managed and delete it "
          + "first.", at: now, in: surroundings)
    } else {
      volume.retry.failed(error, at: now)
    }
    put(volume)
  }

  /// The pool has heard that the volume stays.
  public mutating func confirmKept(_ asked: Volume, at now: Timestamp) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    try volume.finishKeeping(at: now)
    put(volume)
  }

  /// The pool has the volume no more. Name and quota are free; bytes that are left to wipe are seen to by a residue.
  public mutating func confirmErased(_ asked: Volume, wiped: Double, at now: Timestamp) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    try volume.finishDeleting(at: now)
    put(volume)
    if wiped < 1, let pool = volume.pool { leave(Residue(of: volume, on: pool), wiped: wiped, at: now) }
  }

  /// The volume has the snapshot's content, or that was given up and settled.
  public mutating func confirmReverted(_ asked: Volume, at now: Timestamp) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    try volume.finishReverting(at: now)
    put(volume)
  }

  /// A revert failed: again later, or given up with a message once the error is permanent, or the tries were too many, or
  /// the node is lost. The volume is free when the pool has heard of that.
  public mutating func noteRevertFailure(
    _ asked: Volume, _ error: StorageError, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    let isLost = volume.pool.map { nodes[$0.node]?.isLost == true } ?? false
    if !isLost, isOnlyToWait(after: error, on: [volume.pool?.node], policy: policy, at: now) {
      volume.retry.postponed(error, at: now)
      return put(volume)
    }
    volume.retry.failed(error, at: now)
    if !error.isTransient || volume.retry.attempts >= policy.maxRevertAttempts || isLost {
      let outcome =
        error.isTransient
        ? "it has its old content, or, if its pool did it without saying so, that of the snapshot"
        : "it has its old content"
      let snapshot = volume.targetSnapshot.map { " to snapshot \($0)" } ?? ""
      try volume.giveUpReverting(at: now)
      note(
        .revert, of: volume, "\(volume.label) could not be reverted\(snapshot); \(outcome). \(error.message)", at: now,
        in: surroundings)
    }
    put(volume)
  }

  /// The pool has heard whose the volume is.
  public mutating func confirmDescribed(_ asked: Volume, at now: Timestamp) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    try volume.confirmDescribed(at: now)
    put(volume)
  }

  /// The pool has not heard yet that a revert was given up, or whose the volume is: it is told again for as long as it takes.
  public mutating func noteSettleFailure(_ asked: Volume, _ error: StorageError, at now: Timestamp) {
    guard var volume = unchanged(asked) else { return }
    volume.retry.failed(error, at: now)
    put(volume)
  }

  /// Keeps a reason where the user finds it.
  mutating func note(
    _ action: UserMessage.Action, of volume: Volume, _ text: String, requestID: String? = nil, at now: Timestamp,
    in surroundings: Surroundings
  ) {
    put(
      UserMessage(
        id: surroundings.newID(), project: volume.project, volume: volume.id, action: action, text: text,
        requestID: requestID, createdAt: now))
  }

  /// The row, unless something else has changed it since the call went out: then the outcome is of no interest.
  private func unchanged(_ asked: Volume) -> Volume? {
    volumes[asked.id].flatMap { $0.revision == asked.revision ? $0 : nil }
  }
}
