import Logging
import PumiceModel
import PumiceWire

/// Volumes that are files of shares: whoever uses one opens them by itself, and this node says which they are.
///
/// The record of the export says who may use the volume, so that nothing is done to its files behind a user's back. It grants
/// nothing: the server admits whom its own rules admit.
extension NodeService {
  /// Throws `unsupported` for an initiator of another kind than the backend's volumes.
  func requireShared(_ request: ExportRequest, _ backend: any VolumeBackend) throws(StorageError) {
    guard ConnectorDescription.opensShares(request.initiator) != (backend is any ImageBackend) else { return }
    throw StorageError(
      .unsupported,
      "Volume \(request.volume) can't be used by \(request.initiator): files of shares are for those who open them, and "
        + "nothing else is.")
  }

  func sharedTarget(of export: Export, isInUse: Bool) async throws(StorageError) -> ExportedTarget {
    guard let backend = try backend(named: export.backend) as? any ImageBackend else {
      throw StorageError(.unsupported, "Backend \(export.backend) has no shares.")
    }
    var target = ExportedTarget(
      protocolName: "nfs", portals: ["nfs"], iqn: "nfs", lun: 0, initiator: export.initiator, chapUser: export.chapUser,
      chapSecret: export.chapSecret)
    target.image = try await backend.image(of: export.volume, pool: export.pool, inUse: isInUse)
    return target
  }

  /// Tells the backend what has become of what an earlier answer to the request has awaited.
  func passOn(
    _ request: some FollowedRequest, from users: VolumeID, to backend: any VolumeBackend
  ) async throws(StorageError) {
    guard let backend = backend as? any ImageBackend else { return }
    if let generation = request.declined {
      try await backend.decline(users, pool: request.pool, generation: generation)
    } else if let generation = request.adopted {
      try await backend.adopt(users, pool: request.pool, generation: generation)
    }
  }

  /// What a copy that is there has held of the volume that it was made from goes. The copy does not wait for that to succeed.
  func release(
    _ source: VolumeID, after request: VolumeRequest, on backend: any ImageBackend, inUse: Bool
  ) async -> Progress {
    do throws(StorageError) {
      let progress = try await backend.release(source, pool: request.pool, inUse: inUse)
      if let generation = progress.awaits { return Progress(done: 1, awaits: generation) }
      return progress.isComplete ? .complete : Progress(done: 0.99)
    } catch {
      logger.info(
        "layers that a copy has kept apart stay so for now",
        metadata: ["volume.id": "\(source)", "error": "\(error)"])
      return .complete
    }
  }

  /// Has an instance go over to the image that is next, if there is one. Inside the connection's lock.
  func follow(
    _ record: ConnectionRecord, from source: DiskSource, _ hypervisor: any Hypervisor
  ) async throws(StorageError) -> Progress {
    guard let shared = record.request.target.image, let next = shared.next, case .image(let image) = source,
      let image = image.beside(next)
    else { return .complete }
    guard let hypervisor = hypervisor as? any LayeringHypervisor else {
      throw StorageError(
        .unsupported, "Node \(identity.name) has no hypervisor that changes the files of a disk in use.")
    }
    return try await hypervisor.follow(
      image, of: record.attachment, in: record.request.instance, isMerged: shared.isMerged == true)
  }
}
