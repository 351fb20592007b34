import Logging
public import PumiceModel
public import PumiceWire
public import ServiceLifecycle
import Synchronization

/// A backend whose storage was not there, or not well, when the agent started: such as a volume group on a disk that is gone.
///
/// Its pool is reported down with the reason, calls about it throw `unavailable`, and the node's other backends are served.
/// It is tried again for as long as it takes, and from then on it is the backend that it stands for. Only for backends
/// with activation: everybody sees that ability in this one, too.
public final class BackendInWaiting: ActivatingBackend, Service {
  public typealias Opening = @Sendable () async throws(StorageError) -> any VolumeBackend

  private enum State {
    case waiting(StorageError)
    case open(any VolumeBackend)
  }

  public let name: String
  private let open: Opening
  private let interval: Duration
  private let state: Mutex<State>
  private let logger: Logger

  init(
    _ name: String, reason: StorageError, every interval: Duration = .seconds(10), logger: Logger,
    open: @escaping Opening
  ) {
    self.name = name
    self.open = open
    self.interval = interval
    state = Mutex(.waiting(reason))
    self.logger = logger
  }

  /// Opens a backend, or has it wait. Throws what only another configuration helps against.
  static func open(
    _ name: String, logger: Logger, _ open: @escaping Opening
  ) async throws(StorageError) -> any VolumeBackend {
    do throws(StorageError) {
      return try await open()
    } catch  where [.missingPart, .notFound, .unavailable, .timeout, .failed, .noSpace].contains(error.code) {
      logger.error("pool is down", metadata: ["backend.name": "\(name)", "error": "\(error)"])
      return BackendInWaiting(name, reason: error, logger: logger, open: open)
    }
  }

  public func run() async throws {
    await cancelWhenGracefulShutdown { await self.wait() }
    if let service = try? backend as? any Service { return try await service.run() }
    try? await gracefulShutdown()
  }

  private func wait() async {
    while !Task.isCancelled {
      try? await Task.sleep(for: interval)
      if Task.isCancelled { return }
      do throws(StorageError) {
        let backend = try await open()
        state.withLock { $0 = .open(backend) }
        logger.notice("pool is up", metadata: ["backend.name": "\(name)"])
        return
      } catch {
        let isNews = state.withLock { state in
          guard case .waiting(let reason) = state, reason.message != error.message else { return false }
          state = .waiting(error)
          return true
        }
        if isNews { logger.error("pool is down", metadata: ["backend.name": "\(name)", "error": "\(error)"]) }
      }
    }
  }

  /// Throws `unavailable` with the reason while there is none.
  private var backend: any VolumeBackend {
    get throws(StorageError) {
      switch state.withLock({ $0 }) {
      case .open(let backend): return backend
      case .waiting(let reason):
        throw StorageError(.unavailable, "Backend \(name) is not there yet: \(reason.message)", cause: reason)
      }
    }
  }

  // MARK: VolumeBackend

  public func pools() async -> [PoolReport] {
    switch state.withLock({ $0 }) {
    case .open(let backend): return await backend.pools()
    case .waiting(let reason):
      var report = PoolReport(
        backend: name, pool: name, total: .zero, free: .zero, isThin: false,
        capabilities: ["volume_backend_name": [name]])
      report.downReason = reason.message
      return [report]
    }
  }

  public func volumes() async throws(StorageError) -> [StoredVolume] { try await backend.volumes() }

  public func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? { try await backend.volume(id) }

  public func ensure(
    _ id: VolumeID, _ request: VolumeRequest, sourceInUse: Bool
  ) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.ensure(id, request, sourceInUse: sourceInUse)
  }

  public func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try await backend.remove(id, pool: pool)
  }

  public func snapshots() async throws(StorageError) -> [StoredSnapshot] { try await backend.snapshots() }

  public func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    try await backend.ensureSnapshot(id, request, inUse: inUse)
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String
  ) async throws(StorageError) -> Progress {
    try await backend.removeSnapshot(id, of: volume, pool: pool)
  }

  public func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    try await backend.revert(id, request)
  }

  // MARK: ActivatingBackend

  public func activate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await (backend as? any ActivatingBackend)?.activate(id, pool: pool)
  }

  public func deactivate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await (backend as? any ActivatingBackend)?.deactivate(id, pool: pool)
  }
}
