import HashTreeCollections
public import PumiceModel

/// The use cases of nodes: reports, the operator's switches, and what placement reads.
extension Tables {
  /// Takes in a report. The first one of a node registers it.
  ///
  /// Refused with `conflict` when another machine reports under the same name, or the operator has declared it lost.
  public mutating func observe(_ report: NodeReport, policy: Policy, at now: Timestamp) throws(StorageError) {
    if var node = nodes[report.name] {
      if node.isLost {
        throw StorageError(
          .conflict,
          "Node \(node.name) was declared lost. Take that back with 'pumice node enable \(node.name)' before it may serve again."
        )
      }
      if node.address != report.address, isUp(node.name, policy: policy, at: now) {
        throw StorageError(
          .conflict,
          "Node \(node.name) reports from \(node.address) already; \(report.address) needs a name of its own.")
      }
      if node.address != report.address || node.availabilityZone != report.availabilityZone {
        node.address = report.address
        node.availabilityZone = report.availabilityZone
        node.updatedAt = now
        put(node)
      }
    } else {
      put(
        Node(
          name: report.name, address: report.address, availabilityZone: report.availabilityZone, registeredAt: now))
    }
    observations[report.name] = Observation(report: report, receivedAt: now)
  }

  /// The operator's switches. Declaring a node lost ends the work that waits for it; taking that back enables it again.
  public mutating func setNode(
    _ name: NodeName, isEnabled: Bool? = nil, reason: String? = nil, isLost: Bool? = nil, at now: Timestamp
  ) throws(StorageError) {
    guard var node = nodes[name] else { throw StorageError(.notFound, "Node \(name) could not be found.") }
    if let isEnabled {
      node.isEnabled = isEnabled
      node.disabledReason = isEnabled ? nil : reason
    }
    if let isLost { node.isLost = isLost }
    node.updatedAt = now
    put(node)
    if node.isLost {
      observations[name] = nil
      hurryWork(on: name)
    }
  }

  /// Whether the node has reported within `serviceDownTime`.
  public func isUp(_ name: NodeName, policy: Policy, at now: Timestamp) -> Bool {
    guard let node = nodes[name], !node.isLost, let observation = observations[name] else { return false }
    return now - observation.receivedAt <= policy.serviceDownTime
  }

  /// Whether a node that may get volumes has not been heard of since the coordinator started, and may still be.
  ///
  /// - Parameter only: The one node that comes into question; `nil` when any does.
  public func isWaitingForNodes(only: NodeName? = nil, policy: Policy, at now: Timestamp) -> Bool {
    nodes.values.contains {
      $0.takesVolumes && (only == nil || only == $0.name) && isAwaited($0.name, policy: policy, at: now)
    }
  }

  /// Whether this node has not been heard of since the coordinator started, and may still be.
  func isAwaited(_ name: NodeName, policy: Policy, at now: Timestamp) -> Bool {
    guard let node = nodes[name], !node.isLost, observations[name] == nil else { return false }
    return now - policy.startedAt < policy.serviceDownTime
  }

  /// Whether work that failed on one of these nodes has only to wait: for a node that has not been heard of since the
  /// coordinator started, or for its turn on one that is busy.
  func isOnlyToWait(
    after error: StorageError, on names: [NodeName?], policy: Policy, at now: Timestamp
  ) -> Bool {
    error.code == .busy || names.contains { $0.map { isAwaited($0, policy: policy, at: now) } ?? false }
  }

  public func availabilityZones() -> Set<String> {
    Set(nodes.values.map { $0.availabilityZone })
  }

  /// Every pool that any node reported, with what the rows promise on it.
  public func poolStates(policy: Policy?, at now: Timestamp) -> [PoolState] {
    observations.values.flatMap { observation in
      observation.report.pools.compactMap { pool in
        poolState(
          PoolName(node: observation.report.name, backend: pool.backend, pool: pool.pool), pool, observation,
          policy: policy, at: now)
      }
    }
  }

  public func poolState(_ name: PoolName, policy: Policy?, at now: Timestamp) -> PoolState? {
    guard let observation = observations[name.node],
      let report = observation.report.pools.first(where: { $0.backend == name.backend && $0.pool == name.pool })
    else { return nil }
    return poolState(name, report, observation, policy: policy, at: now)
  }

  /// A report knows of a volume or snapshot when the agent had confirmed it well before: one second, for a report under way meanwhile.
  private func poolState(
    _ name: PoolName, _ report: PoolReport, _ observation: Observation, policy: Policy?, at now: Timestamp
  ) -> PoolState? {
    guard let node = nodes[name.node] else { return nil }
    var promised = ByteCount.zero
    var unconfirmed = ByteCount.zero
    let knownUntil = observation.receivedAt + .seconds(-1)
    func add(_ claim: Claim) {
      promised += claim.promisedSize
      if let confirmed = claim.confirmedAt, confirmed <= knownUntil {
        unconfirmed += claim.promisedSize - claim.size
      } else {
        unconfirmed += claim.promisedSize
      }
    }
    let claims = claims(on: name)
    for claim in claims.values { add(claim) }
    for claim in snapshotClaims(on: name).values { add(claim) }
    return PoolState(
      name: name, availabilityZone: node.availabilityZone,
      isNodeUp: policy.map { isUp(name.node, policy: $0, at: now) } ?? true, isNodeEnabled: node.takesVolumes,
      disabledReason: node.refusalReason, report: report, promised: promised, unconfirmed: unconfirmed,
      volumeCount: claims.count)
  }

  /// Lets work that waits in back-off for this node be looked at now.
  private mutating func hurryWork(on node: NodeName) {
    for key in pending {
      switch key {
      case .volume(let id):
        guard var volume = volumes[id], volume.pool?.node == node else { continue }
        volume.retry.notBefore = nil
        put(volume)
      case .snapshot(let id):
        guard var snapshot = snapshots[id], snapshot.pool.node == node else { continue }
        snapshot.retry.notBefore = nil
        put(snapshot)
      case .attachment(let id):
        guard var attachment = attachments[id],
          attachment.node == node || volumes[attachment.volume]?.pool?.node == node
        else { continue }
        attachment.retry.notBefore = nil
        put(attachment)
      case .residue(let key):
        guard var residue = residues[key], key.pool.node == node else { continue }
        residue.retry.notBefore = nil
        put(residue)
      case .groupSnapshot: continue
      }
    }
  }
}
