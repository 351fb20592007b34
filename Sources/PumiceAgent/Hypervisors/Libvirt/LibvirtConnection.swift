import Glibc
import PumiceModel
import Synchronization

/// The way to one libvirtd: opened when first used, and again after it broke.
///
/// Calls of C run on threads of their own; a call whose connection breaks fails with `unavailable`, the next one opens
/// another.
final class LibvirtConnection: Sendable {
  private struct State {
    var session: LibvirtSession?
    var hasBeenOpen = false
  }

  let uri: String
  let events: LibvirtEvents
  private let state = Mutex(State())
  /// Held while somebody opens, so that one does it and the others wait.
  private let opening = Mutex(())

  /// How long a call waits for another one that opens the connection.
  private static let patience = Duration.seconds(15)

  init(uri: String, events: LibvirtEvents) {
    self.uri = uri
    self.events = events
  }

  /// Runs `body` on one of libvirt's threads, where it may block.
  func call<Result: Sendable>(
    _ attempt: String, _ body: @escaping @Sendable (LibvirtSession) throws(StorageError) -> Result
  ) async throws(StorageError) -> Result {
    do {
      return try await LibvirtThreads.call { try body(try self.session()) }
    } catch {
      throw .wrap(error, attempt)
    }
  }

  /// When it returns, the connection is open.
  func open() async throws(StorageError) {
    try await call("Connecting to libvirt at \(uri)") { _ in }
  }

  /// Lets the connection go. It is closed when the calls that use it have ended.
  func close() {
    state.withLock { $0.session = nil }
  }

  private func session() throws(StorageError) -> LibvirtSession {
    let deadline = ContinuousClock.now + Self.patience
    while true {
      if let session = livingSession() { return session }
      if let opened = opening.withLockIfAvailable({ _ in Swift.Result(catching: open) }) { return try opened.get() }
      guard ContinuousClock.now < deadline else {
        throw StorageError(.unavailable, "libvirt at \(uri) did not answer within \(Self.patience) of connecting.")
      }
      usleep(20_000)  // On a thread that is there for waiting.
    }
  }

  private func livingSession() -> LibvirtSession? {
    state.withLock { $0.session }.flatMap { $0.isAlive ? $0 : nil }
  }

  private func open() throws(StorageError) -> LibvirtSession {
    if let session = livingSession() { return session }  // Somebody was quicker.
    let session = try LibvirtSession(uri: uri, events: events)
    let isReturn = state.withLock { state in
      defer { state.hasBeenOpen = true }
      state.session = session
      return state.hasBeenOpen
    }
    if isReturn { events.hub.send(.reconnected) }
    return session
  }
}
