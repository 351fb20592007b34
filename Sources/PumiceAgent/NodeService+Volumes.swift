public import PumiceModel
public import PumiceWire

extension NodeService {
  /// Its exports are ensured again before it is called done, so that each shows the volume's size.
  public func ensureVolume(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Progress {
    try request.check()
    try admit(request.incarnation)
    let backend = try backend(named: request.backend)
    guard request.source?.volume != id else {
      throw .invalid("source", "of volume \(id) must be another volume, or a snapshot of another.")
    }
    guard request.multiattach != true || backend.allowsMultiattach else {
      throw StorageError(
        .unsupported,
        "Volume \(id) can't be made for several instances at the same time: volumes of backend \(backend.name) are for one."
      )
    }
    return try await withLocks(of: id, and: request.source?.volume) { () async throws(StorageError) in
      try await admit(id, request.revision, on: backend, pool: request.pool)
      if request.mustExist == true, try await backend.volume(id) == nil {
        throw StorageError(
          .notFound, "Volume \(id) should be on pool \(request.pool) of backend \(backend.name), and is not there.")
      }
      try await passOn(request, from: request.source?.volume ?? id, to: backend)
      var use = VolumeUse(ofVolume: isInUse(id, on: backend))
      if case .volume(let source)? = request.source { use.ofSource = isInUse(source, on: backend) }
      let stored: StoredVolume
      switch try await backend.ensure(id, request, use) {
      case .underway(let progress): return progress
      case .done(let volume): stored = volume
      }
      for record in standingExports(of: id, on: backend.name) { _ = try await offer(record, stored) }
      guard case .volume(let source)? = request.source, request.declined == nil,
        let backend = backend as? any ImageBackend
      else { return .complete }
      return await release(source, after: request, on: backend, inUse: use.ofSource)
    }
  }

  public func removeVolume(_ id: VolumeID, _ request: VolumeRemoval) async throws(StorageError) -> Progress {
    try request.check()
    let backend = try backend(named: request.backend)
    return try await locks.withLock(.volume(id)) { () async throws(StorageError) in
      try await admit(id, request.revision, on: backend, pool: request.pool)
      try requireUnused(id, on: backend, request.pool, "removed")
      return try await backend.remove(id, pool: request.pool)
    }
  }

  public func revertVolume(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Progress {
    try request.check()
    try admit(request.incarnation)
    let backend = try backend(named: request.backend)
    return try await locks.withLock(.volume(id)) { () async throws(StorageError) in
      try await admit(id, request.revision, on: backend, pool: request.pool)
      try requireUnused(id, on: backend, request.pool, "reverted")
      switch try await backend.revert(id, request) {
      case .underway(let progress): return progress
      case .done: return .complete
      }
    }
  }

  /// Holds the lock of a volume and that of the one whose bytes it is made from, always in the same order.
  private func withLocks<Value: Sendable>(
    of id: VolumeID, and source: VolumeID?, _ body: () async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    guard let source else { return try await locks.withLock(.volume(id), body) }
    return try await locks.withLock(.volume(min(id, source)), queue: Self.queueForLong) {
      () async throws(StorageError) in
      try await locks.withLock(.volume(max(id, source)), queue: Self.queueForLong, body)
    }
  }

  /// Whether somebody may be writing to the volume.
  func isInUse(_ volume: VolumeID, on backend: any VolumeBackend) -> Bool {
    !exports(of: volume, on: backend.name).isEmpty
  }

  private func requireUnused(
    _ id: VolumeID, on backend: any VolumeBackend, _ pool: String, _ participle: String
  ) throws(StorageError) {
    if let user = exports(of: id, on: backend.name).first(where: { $0.export.pool == pool }) {
      throw StorageError(
        .inUse,
        "Volume \(id) can't be \(participle): it is exported to \(user.export.initiator) for attachment \(user.attachment)."
      )
    }
  }

  func backend(named name: String) throws(StorageError) -> any VolumeBackend {
    guard let backend = drivers.backends.first(where: { $0.name == name }) else {
      let names = drivers.backends.map(\.name).joined(separator: ", ")
      throw StorageError(
        .notFound, "Node \(identity.name) has no backend \(name)\(names.isEmpty ? "" : "; it has \(names)").")
    }
    return backend
  }

  private func admit(
    _ id: VolumeID, _ revision: Revision, on backend: any VolumeBackend, pool: String
  ) async throws(StorageError) {
    let stored = try await backend.volume(id)
    try gate.admit(
      .volume(id, backend: backend.name, pool: pool), revision,
      recorded: stored?.pool == pool ? stored?.revision : nil)
  }
}
