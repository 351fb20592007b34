import HashTreeCollections
public import Logging
import PumiceModel
public import PumiceWire
public import ServiceLifecycle
import Synchronization

/// Makes the world follow the store: takes every row with pending work to the agents until nothing is pending.
///
/// It remembers nothing that the rows do not say, so it can end at any await and begin again. One piece of work per row
/// runs at a time; what comes back is written only if the row is still the one that was asked about.
public struct Reconciler: Service {
  private enum Event: Sendable {
    case storeChanged
    case finished(WorkKey)
    case timer(Timestamp)
  }

  /// How many calls may be under way at once: in all, and to one node. What a node does one after the other, such as
  /// changes of a volume group, it shall get done for all within the deadline of a call.
  static let maxConcurrentWork = 256
  static let maxConcurrentWorkPerNode = 32

  private let store: Store
  private let work: PendingWorkRunner
  private let surroundings: Surroundings
  private let logger: Logger

  public init(
    store: Store, directory: any NodeDirectory, policy: Policy, surroundings: Surroundings, logger: Logger
  ) {
    self.store = store
    self.surroundings = surroundings
    self.logger = logger
    work = PendingWorkRunner(
      store: store, directory: directory, policy: policy, surroundings: surroundings, logger: logger)
  }

  public func run() async throws {
    let (events, continuation) = AsyncStream<Event>.makeStream()
    let changes = store.changes()
    await withDiscardingTaskGroup { group in
      group.addTask {
        for await _ in changes { continuation.yield(.storeChanged) }
      }
      var running: [WorkKey: [NodeName]] = [:]
      var perNode: [NodeName: Int] = [:]
      var nextTimer: Timestamp?
      continuation.yield(.storeChanged)
      await withGracefulShutdownHandler {
        for await event in events {
          if Task.isCancelled { break }
          switch event {
          case .storeChanged: break
          case .finished(let key):
            for node in running.removeValue(forKey: key) ?? [] { perNode[node, default: 1] -= 1 }
          case .timer(let moment):
            if nextTimer == moment { nextTimer = nil }
          }
          let now = surroundings.now()
          let tables = store.tables
          var soonest: Timestamp?
          for key in tables.pending where running[key] == nil {
            if let notBefore = tables.retry(of: key)?.notBefore, notBefore > now {
              soonest = min(soonest ?? notBefore, notBefore)
              continue
            }
            guard running.count < Self.maxConcurrentWork else { break }
            let nodes = tables.nodesToAsk(about: key)
            if nodes.contains(where: { perNode[$0, default: 0] >= Self.maxConcurrentWorkPerNode }) { continue }
            running[key] = nodes
            for node in nodes { perNode[node, default: 0] += 1 }
            group.addTask {
              await work.perform(key)
              continuation.yield(.finished(key))
            }
          }
          if let soonest, soonest < nextTimer ?? Timestamp(milliseconds: .max) {
            nextTimer = soonest
            group.addTask {
              try? await surroundings.sleep(max(.milliseconds(1), soonest - now))
              continuation.yield(.timer(soonest))
            }
          }
        }
      } onGracefulShutdown: {
        continuation.finish()
      }
      group.cancelAll()
    }
  }
}

extension Tables {
  /// The retry state of a row with pending work.
  func retry(of key: WorkKey) -> Retry? {
    switch key {
    case .volume(let id): volumes[id]?.retry
    case .snapshot(let id): snapshots[id]?.retry
    case .attachment(let id): attachments[id]?.retry
    case .residue(let key): residues[key]?.retry
    case .groupSnapshot: nil
    }
  }

  /// The nodes that the next calls about a row go to, if they go to any.
  func nodesToAsk(about key: WorkKey) -> [NodeName] {
    switch key {
    case .volume(let id): return [volumes[id]?.pool?.node].compactMap(\.self)
    case .snapshot(let id): return [snapshots[id]?.pool.node].compactMap(\.self)
    case .attachment(let id):
      guard let attachment = attachments[id] else { return [] }
      let storage = volumes[attachment.volume]?.pool?.node
      return switch attachment.pendingWork {
      case .connect where storage != attachment.node: [storage, attachment.node].compactMap(\.self)
      case .export, .withdraw: [storage].compactMap(\.self)
      case .connect, .disconnect, nil: [attachment.node].compactMap(\.self)
      }
    case .residue(let key): return [key.pool.node]
    case .groupSnapshot(let id): return Set(snapshots(in: id).map(\.pool.node)).sorted()
    }
  }
}
