import PumiceModel
public import ServiceLifecycle

/// Takes away what connections have left on the node, in passes: what one pass finds, a later one takes, so that nothing
/// goes that has only just lost its record.
public struct Sweep: Service {
  private let node: NodeService
  private let interval: Duration
  private let sleep: @Sendable (Duration) async throws -> Void

  /// - Parameter sleep: Waits that long, or throws when the task is cancelled.
  public init(
    node: NodeService, interval: Duration = .seconds(60),
    sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
  ) {
    self.node = node
    self.interval = interval
    self.sleep = sleep
  }

  /// Runs until cancelled or told to shut down.
  public func run() async throws {
    await cancelWhenGracefulShutdown {
      var known: Set<AttachmentID> = []
      while !Task.isCancelled {
        known = await node.sweep(known: known)
        do { try await sleep(interval) } catch { return }
      }
    }
  }
}
