import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire

/// Does one piece of pending work: reads the row, makes the call, writes the outcome.
struct PendingWorkRunner: Sendable {
  let store: Store
  let directory: any NodeDirectory
  let policy: Policy
  let surroundings: Surroundings
  let logger: Logger

  /// Does what the row asks for now, once. Never throws: a failure is written beside the row, and a store that refuses
  /// to be written is the store's to report.
  func perform(_ key: WorkKey) async {
    let tables = store.tables
    do {
      switch key {
      case .volume(let id):
        guard let volume = tables.volumes[id], let work = volume.pendingWork else { return }
        try await perform(work, of: volume)
      case .attachment(let id):
        guard let attachment = tables.attachments[id], let work = attachment.pendingWork else { return }
        try await perform(work, of: attachment)
      case .residue(let key):
        guard let residue = tables.residues[key] else { return }
        try await erase(residue)
      }
    } catch {
      guard !Task.isCancelled else { return }
      logger.error("An outcome could not be stored", metadata: ["work": "\(key)", "error": "\(error)"])
      // The row still says what to do; without a pause this would spin while the disk is full.
      try? await surroundings.sleep(.seconds(1))
    }
  }

  // MARK: Volumes

  private func perform(_ work: Volume.PendingWork, of volume: Volume) async throws {
    let (policy, surroundings) = (policy, surroundings)
    switch work {
    case .place:
      try await store.write { tables in
        guard let current = tables.volumes[volume.id], current.revision == volume.revision else { return }
        try tables.place(current, policy: policy, at: surroundings.now(), in: surroundings)
      }
    case .provision(let pool):
      do {
        let progress = try await node(pool.node).ensureVolume(
          volume.id, try request(volume, on: pool, size: volume.size))
        try await store.write { tables in
          if progress.isComplete {
            try tables.confirm(volume, at: surroundings.now())
          } else {
            tables.noteProgress(volume, progress.done, at: surroundings.now())
          }
        }
      } catch let error as StorageError {
        log(error, "A pool failed to make a volume", volume)
        try await store.write {
          try $0.noteProvisionFailure(volume, error, policy: policy, at: surroundings.now(), in: surroundings)
        }
      }
    case .extend(let pool, let size):
      do {
        let progress = try await node(pool.node).ensureVolume(volume.id, try request(volume, on: pool, size: size))
        guard progress.isComplete else {
          return try await store.write { $0.noteProgress(volume, progress.done, at: surroundings.now()) }
        }
      } catch let error as StorageError {
        log(error, "A pool failed to extend a volume", volume)
        return try await store.write {
          try $0.noteExtendFailure(volume, error, policy: policy, at: surroundings.now(), in: surroundings)
        }
      }
      do throws(StorageError) {
        for attachment in store.tables.holders(of: volume.id) where attachment.state == .attached {
          _ = try await connect(attachment, to: volume, size: size)
        }
      } catch {
        log(error, "An instance could not be told of the new size", volume)
        return try await store.write { try $0.confirmExtendAndRepair(volume, at: surroundings.now()) }
      }
      try await store.write { try $0.confirm(volume, at: surroundings.now()) }
    case .revert: break
    case .erase(let pool):
      do {
        let progress = try await erase(volume.id, from: pool, revision: volume.revision)
        try await store.write { tables in
          if progress.isComplete {
            try tables.confirmErased(volume, at: surroundings.now())
          } else {
            tables.noteProgress(volume, progress.done, at: surroundings.now())
          }
        }
      } catch let error as StorageError {
        log(error, "A pool failed to erase a volume", volume)
        try await store.write { $0.noteEraseFailure(volume, error, at: surroundings.now()) }
      }
    }
  }

  private func erase(_ residue: Residue) async throws {
    let surroundings = surroundings
    do {
      let progress = try await erase(residue.key.volume, from: residue.key.pool, revision: residue.revision)
      if progress.isComplete { try await store.write { $0.confirmErased(residue) } }
    } catch let error as StorageError {
      logger.info(
        "What a volume left behind could not be erased yet",
        metadata: ["volume.id": "\(residue.key.volume)", "pool": "\(residue.key.pool)", "error": "\(error)"])
      try await store.write { $0.noteFailure(residue, error, at: surroundings.now()) }
    }
  }

  /// A lost node holds nothing that anybody can reach: what lay there counts as gone until the node is heard of again.
  private func erase(
    _ volume: VolumeID, from pool: PoolName, revision: Revision
  ) async throws(StorageError) -> Progress {
    if store.tables.nodes[pool.node]?.isLost == true { return .complete }
    return try await node(pool.node).removeVolume(
      volume, VolumeRemoval(revision: revision, backend: pool.backend, pool: pool.pool))
  }

  private func request(
    _ volume: Volume, on pool: PoolName, size: ByteCount
  ) throws(StorageError) -> VolumeRequest {
    var request = VolumeRequest(
      revision: volume.revision, backend: pool.backend, pool: pool.pool, size: size,
      description: VolumeDescription(
        name: volume.name, project: volume.project, type: store.tables.types[volume.type]?.name ?? "",
        metadata: volume.metadata))
    request.incarnation = try observation(of: pool.node).incarnation
    return request
  }

  // MARK: Attachments

  private func perform(_ work: Attachment.PendingWork, of attachment: Attachment) async throws {
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
  private func connect(
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

  // MARK: Nodes

  /// What the node said last; its calls are meant for the agent that said so.
  private func observation(of name: NodeName) throws(StorageError) -> NodeReport {
    guard let observation = store.tables.observations[name] else {
      throw StorageError(.unavailable, "Node \(name) has not reported yet.")
    }
    return observation.report
  }

  private func node(_ name: NodeName) throws(StorageError) -> any NodeAPI {
    guard let node = store.tables.nodes[name] else {
      throw StorageError(.unavailable, "Node \(name) is not registered.")
    }
    if node.isLost { throw StorageError(.unavailable, "Node \(name) was declared lost.") }
    return directory.node(name, at: node.address)
  }

  private func log(_ error: StorageError, _ message: Logger.Message, _ volume: Volume) {
    logger.info(
      message,
      metadata: [
        "volume.id": "\(volume.id)", "pool": "\(volume.pool.map(\.description) ?? "")", "error": "\(error)",
      ])
  }
}
