import Logging
public import PumiceModel
public import ServiceLifecycle
import Synchronization

/// A backend whose storage was not there, or not well, when the agent started: such as a volume group on a disk that is gone.
///
/// Its pool is reported down with the reason, calls about it throw `unavailable`, and the node's other backends are served.
/// It is tried again for as long as it takes, and from then on it is the backend that it stands for.
public final class BackendInWaiting: ForwardingBackend, ActivatingBackend, Service {
  public typealias Opening = @Sendable () async throws(StorageError) -> any ActivatingBackend

  private enum State {
    case waiting(StorageError)
    case open(any ActivatingBackend)
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
  ) async throws(StorageError) -> any ActivatingBackend {
    do throws(StorageError) {
      return try await open()
    } catch  where [.missingPart, .notFound, .unavailable, .timeout, .failed, .noSpace].contains(error.code) {
      logger.error("pool is down", metadata: ["backend.name": "\(name)", "error": "\(error)"])
      return BackendInWaiting(name, reason: error, logger: logger, open: open)
    }
  }

  public func run() async throws {
    await cancelWhenGracefulShutdown { await self.wait() }
    if let service = try? opened as? any Service { return try await service.run() }
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
  private var opened: any ActivatingBackend {
    get throws(StorageError) {
      switch state.withLock({ $0 }) {
      case .open(let backend): return backend
      case .waiting(let reason):
        throw StorageError(.unavailable, "Backend \(name) is not there yet: \(reason.message)", cause: reason)
      }
    }
  }

  public var backend: any VolumeBackend { get throws(StorageError) { try opened } }

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

  public func activate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await opened.activate(id, pool: pool)
  }

  public func deactivate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try await opened.deactivate(id, pool: pool)
  }
}
