import HashTreeCollections
public import PumiceModel

/// What the reconciler writes about volumes: placement and the outcome of each call. Each is one transaction.
extension Tables {
  /// Finds a pool for a volume that is on none.
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
    let request = PlacementRequest(
      size: volume.size, availabilityZone: volume.requestedZone,
      extraSpecs: types[volume.type]?.extraSpecs ?? [:], excluded: volume.triedPools)
    switch Scheduler(weighing: policy.weighing).place(
      request, on: poolStates(policy: policy, at: now), roll: surroundings.roll())
    {
    case .placed(let pool, let zone):
      try volume.place(on: pool, availabilityZone: zone, at: now)
      put(volume)
    case .refused(let refusals):
      if isWaitingForNodes(policy: policy, at: now) {
        volume.retry.notBefore = now + .seconds(1)
        volume.retry.lastError = "Waiting for nodes that have not reported yet."
        put(volume)
      } else {
        try fail(
          volume, PoolRefusal.summary(refusals, for: request), action: .schedule, requestID: requestID, at: now,
          in: surroundings)
      }
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
    volume.retry.progress = done
    volume.retry.notBefore = now + .milliseconds(500)
    put(volume)
  }

  /// A pool could not make the volume: again later, or, after a permanent error or too many tries, another pool.
  public mutating func noteProvisionFailure(
    _ asked: Volume, _ error: StorageError, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var volume = unchanged(asked), let pool = volume.pool else { return }
    if error.isTransient, volume.retry.attempts + 1 < policy.maxProvisionAttempts,
      isUp(pool.node, policy: policy, at: now)
    {
      volume.retry.failed(error, at: now)
      put(volume)
      return
    }
    try volume.abandonPool(because: error, at: now)
    put(volume)
    if nodes[pool.node]?.isLost != true {
      put(Residue(volume: volume.id, pool: pool, revision: volume.revision))
    }
    try place(volume, policy: policy, at: now, in: surroundings)
  }

  /// An extend failed: again later, or given up with the old size and a message.
  public mutating func noteExtendFailure(
    _ asked: Volume, _ error: StorageError, policy: Policy, at now: Timestamp, in surroundings: Surroundings
  ) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
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

  /// An erase failed: it is tried again for as long as it takes.
  public mutating func noteEraseFailure(_ asked: Volume, _ error: StorageError, at now: Timestamp) {
    guard var volume = unchanged(asked) else { return }
    volume.retry.failed(error, at: now)
    put(volume)
  }

  /// The pool has nothing of the volume any more.
  public mutating func confirmErased(_ asked: Volume, at now: Timestamp) throws(StorageError) {
    guard var volume = unchanged(asked) else { return }
    try volume.finishDeleting(at: now)
    put(volume)
  }

  public mutating func noteFailure(_ asked: Residue, _ error: StorageError, at now: Timestamp) {
    guard var residue = residues[asked.key], residue.revision == asked.revision else { return }
    residue.retry.failed(error, at: now)
    put(residue)
  }

  public mutating func confirmErased(_ asked: Residue) {
    guard let residue = residues[asked.key], residue.revision == asked.revision else { return }
    remove(residue)
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
