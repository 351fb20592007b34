public import Logging
import PumiceModel
public import PumiceWire
public import ServiceLifecycle

/// Tells the coordinator about this node: every `interval`, and soon after something has changed.
///
/// A coordinator that is away is asked again with growing pauses, and is logged about once. Nothing on the node waits for it.
public struct Reporter: Service {
  private enum Signal: Sendable {
    case changed
    /// Only the last timer that was set counts.
    case due(Int)
  }

  /// Changes that come this close together make one report.
  static let gathering = Duration.milliseconds(200)

  private let node: any NodeAPI
  private let sink: any ReportSink
  private let interval: Duration
  private let startsAtOnce: Bool
  private let sleep: @Sendable (Duration) async throws -> Void
  private let logger: Logger
  private let signals: AsyncStream<Signal>
  private let signal: AsyncStream<Signal>.Continuation

  /// - Parameters:
  ///   - startsAtOnce: Whether the first report goes out by itself, or waits for `changed()`, an interval at most.
  ///   - sleep: Waits that long, or throws when the task is cancelled.
  public init(
    node: any NodeAPI, sink: any ReportSink, interval: Duration = .seconds(10), startsAtOnce: Bool = true,
    logger: Logger, sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.node = node
    self.sink = sink
    self.interval = interval
    self.startsAtOnce = startsAtOnce
    self.logger = logger
    self.sleep = sleep
    (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
  }

  /// Says that a report is worth sending soon. Cheap; may be called as often as things happen.
  public func changed() { signal.yield(.changed) }

  /// Runs until cancelled or told to shut down. To be called once.
  public func run() async throws {
    await cancelWhenGracefulShutdown { await self.report() }
  }

  private func report() async {
    await withDiscardingTaskGroup { group in
      var timer = 0
      var isGathering = false
      var outage = Outage()
      func set(_ pause: Duration) {
        timer += 1
        let number = timer
        group.addTask {
          try? await sleep(pause)
          signal.yield(.due(number))
        }
      }
      set(startsAtOnce ? .zero : interval)
      for await signal in signals {
        if Task.isCancelled { break }
        switch signal {
        case .changed:
          // While the coordinator is away, its pause is kept.
          guard !isGathering, outage.failures == 0 else { continue }
          isGathering = true
          set(Self.gathering)
        case .due(let number):
          guard number == timer else { continue }
          isGathering = false
          await send(&outage)
          set(outage.failures == 0 ? interval : min(interval, Retry.backoff(afterAttempts: outage.failures)))
        }
      }
      group.cancelAll()
    }
  }

  private struct Outage {
    var failures = 0
    var code: StorageError.Code?
  }

  private func send(_ outage: inout Outage) async {
    do throws(StorageError) {
      try await sink.send(try await node.report())
      if outage.failures > 0 {
        logger.notice("coordinator takes reports again", metadata: ["report.failures": "\(outage.failures)"])
      }
      outage = Outage()
    } catch {
      guard !Task.isCancelled else { return }
      outage.failures += 1
      if error.code != outage.code {
        logger.warning("coordinator takes no reports", metadata: ["error": "\(error)"])
      }
      outage.code = error.code
    }
  }
}
