public import Logging
import PumiceModel
public import ServiceLifecycle
import Synchronization

/// Lets guests hold their file systems still, each for a limited time, and makes them go on whatever happens.
///
/// It is on record before a guest is asked, so that an agent that dies meanwhile thaws it when it starts again. A guest
/// that does not answer is told to go on until it does or its instance ends.
public final class Quiescence: Service {
  /// A guest that holds still.
  private struct Freeze {
    let number: UInt64
    let fileSystems: Int
    var holders: Set<SnapshotID>
  }

  private struct Expiry: Sendable {
    let instance: InstanceID
    /// Of which freeze; another one of the same instance has an expiry of its own. 0 is what an earlier life left.
    let number: UInt64
    let delay: Duration
  }

  private struct State {
    var freezes: [InstanceID: Freeze] = [:]
    var lastNumber: UInt64 = 0
    /// Those who let go, or whose time is up: a call of theirs that comes late must freeze nobody. In two generations, so
    /// that the oldest are forgotten.
    var ended: (young: Set<SnapshotID>, old: Set<SnapshotID>) = ([], [])

    mutating func end(_ holder: SnapshotID) {
      if ended.young.count >= 10_000 { ended = ([], ended.young) }
      ended.young.insert(holder)
    }

    func hasEnded(_ holder: SnapshotID) -> Bool { ended.young.contains(holder) || ended.old.contains(holder) }
  }

  private let hypervisor: any QuiescingHypervisor
  private let records: any RecordStore<QuiescenceRecord>
  private let sleep: @Sendable (Duration) async throws -> Void
  private let logger: Logger
  private let locks = KeyedLock<InstanceID>()
  private let state = Mutex(State())
  private let expiries: AsyncStream<Expiry>
  private let expiry: AsyncStream<Expiry>.Continuation

  /// - Parameters:
  ///   - records: Survives the agent.
  ///   - sleep: Waits that long, or throws when the task is cancelled.
  public init(
    hypervisor: any QuiescingHypervisor, records: any RecordStore<QuiescenceRecord>, logger: Logger,
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.hypervisor = hypervisor
    self.records = records
    self.logger = logger
    self.sleep = sleep
    (expiries, expiry) = AsyncStream.makeStream()
  }

  // MARK: Calls

  /// When it returns `nil`, the guest holds still until the last holder lets go, at most for this time; otherwise it
  /// returns why it does not. A second holder shares the first one's freeze, and its end.
  func freeze(_ instance: InstanceID, for limit: Duration, by holder: SnapshotID) async throws(StorageError) -> String?
  {
    try await locks.withLock(instance) { () async throws(StorageError) in
      if state.withLock({ $0.hasEnded(holder) }) { return "Its time to hold still is over." }
      let isShared = state.withLock { $0.freezes[instance]?.holders.insert(holder) != nil }
      if isShared { return nil }
      guard records.record(of: instance) == nil else { return "Instance \(instance) is still being thawed." }
      return try await begin(instance, for: limit, by: holder)
    }
  }

  private func begin(
    _ instance: InstanceID, for limit: Duration, by holder: SnapshotID
  ) async throws(StorageError) -> String? {
    try await records.put(QuiescenceRecord(instance))
    let number = state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    // The time runs from before the guest is asked.
    expiry.yield(Expiry(instance: instance, number: number, delay: limit))
    do throws(StorageError) {
      let fileSystems = try await hypervisor.freeze(instance, within: limit)
      guard fileSystems > 0 else {
        try await records.remove(instance)
        return "Instance \(instance) has no file system to freeze."
      }
      state.withLock { $0.freezes[instance] = Freeze(number: number, fileSystems: fileSystems, holders: [holder]) }
      return nil
    } catch {
      switch error.code {
      case .timeout, .unavailable:
        // It may be frozen all the same.
        expiry.yield(Expiry(instance: instance, number: number, delay: .zero))
      default:
        try await records.remove(instance)
      }
      return error.message
    }
  }

  /// When it returns, the holder has let go. Gives whether the guest has held still until now.
  func thaw(_ instance: InstanceID, by holder: SnapshotID) async throws(StorageError) -> Bool {
    try await locks.withLock(instance) { () async throws(StorageError) in
      let freeze: Freeze? = state.withLock { state in
        state.end(holder)
        guard state.freezes[instance]?.holders.remove(holder) != nil else { return nil }
        return state.freezes[instance]
      }
      guard let freeze else { return false }
      guard freeze.holders.isEmpty else { return true }
      state.withLock { $0.freezes[instance] = nil }
      do throws(StorageError) {
        let thawed = try await hypervisor.thaw(instance)
        try await records.remove(instance)
        // Fewer were frozen to the end when somebody in the guest has thawed them before.
        return thawed >= freeze.fileSystems
      } catch {
        expiry.yield(Expiry(instance: instance, number: freeze.number, delay: .zero))
        return false
      }
    }
  }

  // MARK: Time

  /// Thaws what an earlier life of the agent has left, and then everything whose time is up. At a graceful shutdown all
  /// guests go on at once. To be called once.
  public func run() async throws {
    await withGracefulShutdownHandler {
      await withDiscardingTaskGroup { group in
        for record in records.all {
          group.addTask { await self.expire(Expiry(instance: record.instance, number: 0, delay: .zero)) }
        }
        for await expiry in expiries { group.addTask { await self.expire(expiry) } }
        group.cancelAll()
      }
    } onGracefulShutdown: { [expiry] in
      expiry.finish()
    }
    for record in records.all { _ = await end(record.instance, only: nil) }
  }

  private func expire(_ expiry: Expiry) async {
    var attempts = 0
    do {
      try await sleep(expiry.delay)
      while await !end(expiry.instance, only: expiry.number) {
        attempts += 1
        try await sleep(Retry.backoff(afterAttempts: attempts))
      }
    } catch {}
  }

  /// Makes the guest go on. Gives whether nothing is left to do about this freeze.
  private func end(_ instance: InstanceID, only number: UInt64?) async -> Bool {
    do throws(StorageError) {
      return try await locks.withLock(instance) { () async throws(StorageError) in
        let isOver = state.withLock { state in
          guard let freeze = state.freezes[instance] else { return false }
          guard number == nil || freeze.number == number else { return true }
          for holder in freeze.holders { state.end(holder) }
          state.freezes[instance] = nil
          return false
        }
        guard !isOver, records.record(of: instance) != nil else { return true }
        do throws(StorageError) {
          _ = try await hypervisor.thaw(instance)
        } catch {
          guard error.code == .notFound || error.code == .conflict else { throw error }
        }
        try await records.remove(instance)
        logger.warning("A guest was made to go on", metadata: ["instance.id": "\(instance)"])
        return true
      }
    } catch {
      logger.warning(
        "A guest that may be frozen does not go on", metadata: ["instance.id": "\(instance)", "error": "\(error)"])
      return false
    }
  }
}
