public import Logging
import PumiceModel
public import ServiceLifecycle

/// Puts back exports and secrets: at start, and whenever target or hypervisor were away. Tries for as long as it takes,
/// with growing pauses, and needs no coordinator.
public struct Restoration: Service {
  private enum Signal: Sendable {
    case asked
    /// Only the last timer that was set counts.
    case due(Int)
  }

  static let longestPause = Duration.seconds(15)

  private let node: NodeService
  private let sleep: @Sendable (Duration) async throws -> Void
  private let afterPass: @Sendable () -> Void
  private let logger: Logger
  private let signals: AsyncStream<Signal>
  private let signal: AsyncStream<Signal>.Continuation

  /// - Parameters:
  ///   - afterPass: Called when the records have been gone through once, whatever came of it.
  ///   - sleep: Waits that long, or throws when the task is cancelled.
  public init(
    node: NodeService, logger: Logger, afterPass: @escaping @Sendable () -> Void = {},
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.node = node
    self.logger = logger
    self.afterPass = afterPass
    self.sleep = sleep
    (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  /// Says that something may have been forgotten: all is looked through again, at once.
  public func begin() { signal.yield(.asked) }

  /// Says that an instance may have been started.
  func begin(for instance: InstanceID) {
    if node.hasImages(instance) { begin() }
  }

  /// Runs until cancelled or told to shut down. To be called once.
  public func run() async throws {
    await cancelWhenGracefulShutdown { await self.restore() }
  }

  private func restore() async {
    await withDiscardingTaskGroup { group in
      var timer = 0
      var failedPasses = 0
      var known: [AttachmentID: String] = [:]
      signal.yield(.asked)
      for await signal in signals {
        if Task.isCancelled { break }
        switch signal {
        case .asked: failedPasses = 0
        case .due(let number): guard number == timer else { continue }
        }
        let outcome = await node.restore()
        log(outcome, known)
        afterPass()
        known = outcome.failures
        timer += 1
        guard !outcome.isComplete else { continue }
        failedPasses += 1
        let (number, pause) = (timer, min(Self.longestPause, Retry.backoff(afterAttempts: failedPasses)))
        group.addTask {
          try? await sleep(pause)
          self.signal.yield(.due(number))
        }
      }
      group.cancelAll()
    }
  }

  /// What went well once per pass that mended something, what did not once per reason.
  private func log(_ outcome: NodeService.RestorationOutcome, _ known: [AttachmentID: String]) {
    for (attachment, reason) in outcome.failures.sorted(by: { $0.key < $1.key }) where known[attachment] != reason {
      logger.warning(
        "attachment is not restored yet", metadata: ["attachment.id": "\(attachment)", "error": "\(reason)"])
    }
    guard outcome.restored > 0 || !known.isEmpty else { return }
    logger.info(
      "attachments restored",
      metadata: ["restored.count": "\(outcome.restored)", "pending.count": "\(outcome.failures.count)"])
  }
}
