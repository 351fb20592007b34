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
        let disk = try await connect(attachment, to: volume, size: volume.size)
        try await store.write { try $0.confirm(attachment, device: disk.device, at: surroundings.now()) }
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
  ) async throws(StorageError) -> ConnectedDisk {
    guard let pool = volume.pool else {
      throw StorageError(.conflict, "\(volume.label) is \(volume.state.rawValue), so it can't be connected.")
    }
    let (storage, compute) = (try observation(of: pool.node), try observation(of: attachment.node))
    var export = ExportRequest(
      revision: attachment.revision, volume: volume.id, backend: pool.backend, pool: pool.pool,
      initiator: try initiatorName(for: attachment, on: compute, to: pool, of: storage),
      readOnly: attachment.mode == .readOnly)
    export.incarnation = storage.incarnation
    let target = try await node(pool.node).ensureExport(attachment.id, export)
    var connection = ConnectionRequest(
      revision: attachment.revision, volume: volume.id, instance: attachment.instance, size: size,
      readOnly: attachment.mode == .readOnly, device: attachment.device, target: target)
    connection.incarnation = compute.incarnation
    return try await node(attachment.node).ensureConnection(attachment.id, connection)
  }

  /// The name under which the compute node will log in: from the connector that takes what the pool speaks.
  private func initiatorName(
    for attachment: Attachment, on compute: NodeReport, to pool: PoolName, of storage: NodeReport
  ) throws(StorageError) -> String {
    guard let storage = storage.pools.first(where: { $0.backend == pool.backend && $0.pool == pool.pool }) else {
      throw StorageError(.unavailable, "Pool \(pool) is not among those that node \(pool.node) reports.")
    }
    let protocols = storage.capabilities["storage_protocol"] ?? []
    let connector = compute.connectors.first { connector in
      protocols.contains { $0.lowercased() == connector.protocolName.lowercased() }
    }
    guard let connector else {
      throw StorageError(
        .unsupported,
        "Node \(attachment.node) has no connector for pool \(pool), which speaks \(protocols.joined(separator: ", ")).")
    }
    return connector.initiatorName(for: attachment.id)
  }
}
