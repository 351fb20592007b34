import HashTreeCollections
import Logging
import PumiceModel
public import ServiceLifecycle
import Synchronization

/// The truth: tables in memory, behind one writer that makes every transaction durable before anybody sees it.
///
/// Reads take a snapshot and never wait. Writes that come together share one commit, and so one fsync: while a commit is
/// under way the next transactions queue up, and then go together.
public final class Store: Service {
  private struct PendingWrite: Sendable {
    /// Runs the transaction on the tables; the result goes out through `finish`.
    let apply: @Sendable (inout Tables) -> Void
    let finish: @Sendable ((any Error)?) -> Void
  }

  private struct State {
    var published: Tables
    var queue: [PendingWrite] = []
    var isClosed = false
  }

  private let state: Mutex<State>
  private let journal: any Journal
  private let wakeUps: AsyncStream<Void>
  private let wakeUp: AsyncStream<Void>.Continuation
  private let observers = Mutex<[AsyncStream<Void>.Continuation]>([])

  private init(tables: Tables, journal: any Journal) {
    state = Mutex(State(published: tables))
    self.journal = journal
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Loads the rows. `run()` has to run before anything can be written.
  public static func open(_ journal: any Journal) async throws -> Store {
    var tables = Tables()
    for row in try await journal.load() { tables.load(row) }
    _ = tables.takeChanges()
    return Store(tables: tables, journal: journal)
  }

  /// A snapshot of what is durable.
  public var tables: Tables { state.withLock { $0.published } }

  /// Yields whenever something was written; several writes may come as one.
  public func changes() -> AsyncStream<Void> {
    let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    observers.withLock { $0.append(continuation) }
    return stream
  }

  /// Runs one transaction. When it returns, what it wrote is durable and visible; when it throws, nothing was written.
  ///
  /// The body may run at any time on any thread, once, after all transactions that were handed in before.
  public func write<Result: Sendable>(
    _ body: @escaping @Sendable (inout Tables) throws -> Result
  ) async throws -> Result {
    let outcome = Mutex<Swift.Result<Result, any Error>?>(nil)
    let box = Outcome(outcome)
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      let write = PendingWrite(
        apply: { tables in
          var attempt = tables
          let result = Swift.Result { try body(&attempt) }
          if case .success = result { tables = attempt }
          box.value.withLock { $0 = result }
        },
        finish: { error in
          if let error { continuation.resume(throwing: error) } else { continuation.resume() }
        })
      let isClosed = state.withLock { state in
        if !state.isClosed { state.queue.append(write) }
        return state.isClosed
      }
      if isClosed {
        write.finish(StorageError(.unavailable, "The store is closed: the coordinator is stopping."))
      } else {
        wakeUp.yield()
      }
    }
    guard let result = box.value.withLock({ $0 }) else {
      preconditionFailure("A finished transaction has a result.")
    }
    return try result.get()
  }

  private final class Outcome<Result: Sendable>: Sendable {
    let value: Mutex<Swift.Result<Result, any Error>?>
    init(_ value: consuming Mutex<Swift.Result<Result, any Error>?>) { self.value = value }
  }

  /// Writes until a graceful shutdown, which lets what is queued go through, or until the journal fails.
  public func run() async throws {
    defer { close() }
    try await withGracefulShutdownHandler {
      for await _ in wakeUps {
        while let batch = takeBatch() { try await commit(batch) }
      }
      while let batch = takeBatch() { try await commit(batch) }
    } onGracefulShutdown: { [wakeUp] in
      wakeUp.finish()
    }
  }

  private func takeBatch() -> [PendingWrite]? {
    state.withLock { state in
      defer { state.queue = [] }
      return state.queue.isEmpty ? nil : state.queue
    }
  }

  private func commit(_ batch: [PendingWrite]) async throws {
    var working = tables
    for write in batch { write.apply(&working) }
    let changes = working.takeChanges()
    do {
      if !changes.isEmpty { try await journal.commit(changes) }
    } catch {
      for write in batch { write.finish(error) }
      if error is StorageError { return }
      throw error
    }
    state.withLock { $0.published = working }
    for write in batch { write.finish(nil) }
    for observer in observers.withLock({ $0 }) { observer.yield() }
  }

  private func close() {
    let abandoned = state.withLock { state in
      state.isClosed = true
      defer { state.queue = [] }
      return state.queue
    }
    for write in abandoned {
      write.finish(StorageError(.unavailable, "The store is closed: the coordinator is stopping."))
    }
  }
}
