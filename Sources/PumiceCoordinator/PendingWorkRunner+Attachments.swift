import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

extension PendingWorkRunner {
  func perform(_ work: Attachment.PendingWork, of attachment: Attachment) async throws {
    let (policy, surroundings) = (policy, surroundings)
    do {
      switch work {
      case .connect:
        guard let volume = store.tables.volumes[attachment.volume] else {
          throw StorageError(.notFound, "Volume \(attachment.volume) could not be found.")
        }
        let connection = try await connect(attachment, to: volume, size: volume.size)
        try await store.write {
          try $0.confirm(
            attachment, device: connection.disk.device, isLocal: connection.isLocal, at: surroundings.now())
        }
      case .export:
        _ = try await export(attachment)
        try await store.write { try $0.confirmExported(attachment, at: surroundings.now()) }
      case .disconnect:
        if let (instance, compute) = attachment.place, !isLost(compute) {
          try await node(compute).removeConnection(
            attachment.id, ConnectionRemoval(revision: attachment.revision, instance: instance))
        }
        try await store.write { try $0.confirmDisconnected(attachment, at: surroundings.now()) }
      case .withdraw:
        if let pool = store.tables.volumes[attachment.volume]?.pool, !isLost(pool.node) {
          try await node(pool.node).removeExport(attachment.id, ExportRemoval(revision: attachment.revision))
        }
        try await store.write { try $0.confirmWithdrawn(attachment, at: surroundings.now()) }
      }
    } catch let error as StorageError {
      logger.info(
        "A step of an attachment failed",
        metadata: [
          "attachment.id": "\(attachment.id)", "volume.id": "\(attachment.volume)", "step": "\(work)",
          "error": "\(error)",
        ])
      try await store.write { tables in
        switch work {
        case .connect, .export:
          try tables.noteConnectFailure(attachment, error, policy: policy, at: surroundings.now(), in: surroundings)
        case .disconnect, .withdraw:
          tables.noteDetachFailure(attachment, error, at: surroundings.now())
        }
      }
    }
  }

  /// Export on the volume's node, then connect on the compute node. The secret only passes through.
  func connect(
    _ attachment: Attachment, to volume: Volume, size: ByteCount
  ) async throws(StorageError) -> (disk: ConnectedDisk, isLocal: Bool) {
    guard let pool = volume.pool else {
      throw StorageError(.conflict, "\(volume.label) is \(volume.state.rawValue), so it can't be connected.")
    }
    guard let place = attachment.place else {
      throw StorageError(
        .unsupported, "Attachment \(attachment.id) is one of \(attachment.holder), who connects without an agent.")
    }
    let (storage, compute) = (try observation(of: pool.node), try observation(of: place.node))
    let connector = try connector(for: attachment, on: compute, to: pool, of: storage)
    var export = ExportRequest(
      revision: attachment.revision, volume: volume.id, backend: pool.backend, pool: pool.pool,
      initiator: connector.initiatorName(for: attachment.id), readOnly: attachment.mode == .readOnly,
      authenticatesTarget: connector.authenticatesTargets)
    export.incarnation = storage.incarnation
    let target = try await node(pool.node).ensureExport(attachment.id, export)
    var request = ConnectionRequest(
      revision: attachment.revision, volume: volume.id, instance: place.instance, size: size,
      readOnly: attachment.mode == .readOnly, device: attachment.device, target: target)
    request.incarnation = compute.incarnation
    request.limits = store.tables.diskLimits(of: volume)
    let disk = try await node(place.node).ensureConnection(attachment.id, request)
    return (disk, connector.isLocal)
  }

  /// Ensures the export for a client, which connects by itself. The secret only passes through.
  func export(_ attachment: Attachment) async throws(StorageError) -> ExportedTarget {
    guard let volume = store.tables.volumes[attachment.volume], let pool = volume.pool else {
      throw StorageError(.conflict, "Volume \(attachment.volume) is on no pool, so it can't be exported.")
    }
    guard let initiator = attachment.client?.initiator else {
      throw StorageError(.conflict, "Attachment \(attachment.id) has no initiator yet.")
    }
    let storage = try observation(of: pool.node)
    let protocols = try protocols(of: pool, in: storage)
    guard protocols.contains(where: { $0.lowercased() == "iscsi" }) else {
      throw StorageError(
        .unsupported,
        "\(volume.label) can't be connected by \(attachment.holder): its pool \(pool) speaks "
          + "\(protocols.joined(separator: ", ")), and clients connect by iSCSI. An agent on the host can attach it.")
    }
    var request = ExportRequest(
      revision: attachment.revision, volume: volume.id, backend: pool.backend, pool: pool.pool, initiator: initiator,
      readOnly: attachment.mode == .readOnly)
    request.incarnation = storage.incarnation
    return try await node(pool.node).ensureExport(attachment.id, request)
  }

  private func protocols(of pool: PoolName, in storage: NodeReport) throws(StorageError) -> [String] {
    guard let report = storage.pools.first(where: { $0.backend == pool.backend && $0.pool == pool.pool }) else {
      throw StorageError(.unavailable, "Pool \(pool) is not among those that node \(pool.node) reports.")
    }
    return report.capabilities["storage_protocol"] ?? []
  }

  /// The connector of the compute node that takes what the pool speaks. On the pool's own node the device itself is preferred
  /// to a target; the way by which an instance got its disk is kept to.
  private func connector(
    for attachment: Attachment, on compute: NodeReport, to pool: PoolName, of storage: NodeReport
  ) throws(StorageError) -> ConnectorDescription {
    let protocols = try protocols(of: pool, in: storage)
    let connectors = compute.connectors.filter { connector in
      protocols.contains { $0.lowercased() == connector.protocolName.lowercased() }
    }
    // To be read-only is left to targets.
    let local =
      pool.node == attachment.node && attachment.mode == .readWrite ? connectors.first(where: \.isLocal) : nil
    let remote = connectors.first { !$0.isLocal }
    let connector =
      switch attachment.isLocal {
      case nil: attachment.state == .attaching ? local ?? remote : remote
      case true?: local
      case false?: remote
      }
    guard let connector else {
      throw StorageError(
        .unsupported,
        "Node \(compute.name) has no connector for pool \(pool), which speaks \(protocols.joined(separator: ", ")).")
    }
    return connector
  }
}
