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
      case .disconnect:
        if store.tables.nodes[attachment.node]?.isLost != true {
          try await node(attachment.node).removeConnection(
            attachment.id, ConnectionRemoval(revision: attachment.revision, instance: attachment.instance))
        }
        try await store.write { try $0.confirmDisconnected(attachment, at: surroundings.now()) }
      case .withdraw:
        if let pool = store.tables.volumes[attachment.volume]?.pool, store.tables.nodes[pool.node]?.isLost != true {
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
        case .connect:
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
    let (storage, compute) = (try observation(of: pool.node), try observation(of: attachment.node))
    let connector = try connector(for: attachment, on: compute, to: pool, of: storage)
    var export = ExportRequest(
      revision: attachment.revision, volume: volume.id, backend: pool.backend, pool: pool.pool,
      initiator: connector.initiatorName(for: attachment.id), readOnly: attachment.mode == .readOnly,
      authenticatesTarget: connector.authenticatesTargets)
    export.incarnation = storage.incarnation
    let target = try await node(pool.node).ensureExport(attachment.id, export)
    var request = ConnectionRequest(
      revision: attachment.revision, volume: volume.id, instance: attachment.instance, size: size,
      readOnly: attachment.mode == .readOnly, device: attachment.device, target: target)
    request.incarnation = compute.incarnation
    request.limits = store.tables.diskLimits(of: volume)
    let disk = try await node(attachment.node).ensureConnection(attachment.id, request)
    return (disk, connector.isLocal)
  }

  /// The connector of the compute node that takes what the pool speaks. On the pool's own node the device itself is preferred
  /// to a target; the way by which an instance got its disk is kept to.
  private func connector(
    for attachment: Attachment, on compute: NodeReport, to pool: PoolName, of storage: NodeReport
  ) throws(StorageError) -> ConnectorDescription {
    guard let storage = storage.pools.first(where: { $0.backend == pool.backend && $0.pool == pool.pool }) else {
      throw StorageError(.unavailable, "Pool \(pool) is not among those that node \(pool.node) reports.")
    }
    let protocols = storage.capabilities["storage_protocol"] ?? []
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
        "Node \(attachment.node) has no connector for pool \(pool), which speaks \(protocols.joined(separator: ", ")).")
    }
    return connector
  }
}
