import Logging
import PumiceModel
import ServiceLifecycle

/// Makes the kernel's part of LIO ready at start, and sees when somebody has emptied it: rtslib's service, for one, clears
/// all targets when it is restarted, ours among them.
struct LIOWatch: Service {
  private let exporter: LIOExporter
  private let prepare: @Sendable () async throws(StorageError) -> Void
  private let interval: Duration
  private let logger: Logger
  private let whenFresh: @Sendable () async -> Void

  /// - Parameters:
  ///   - interval: How often to look; a list of names each time.
  ///   - whenFresh: Called when targets may be missing that should stand.
  init(
    exporter: LIOExporter, interval: Duration = .seconds(2), logger: Logger,
    prepare: @escaping @Sendable () async throws(StorageError) -> Void = { () async throws(StorageError) in
      try await LIOKernel().prepare()
    },
    whenFresh: @escaping @Sendable () async -> Void
  ) {
    self.exporter = exporter
    self.prepare = prepare
    self.interval = interval
    self.logger = logger
    self.whenFresh = whenFresh
  }

  /// Runs until cancelled or told to shut down. Leaves the targets as they are.
  func run() async throws {
    await cancelWhenGracefulShutdown {
      var failures = 0
      while !Task.isCancelled {
        do throws(StorageError) {
          try await prepare()
          // What was asked for meanwhile has failed.
          if failures > 0 { await whenFresh() }
          failures = 0
          let lost = try await exporter.lost()
          if !lost.isEmpty {
            logger.warning("targets have gone that should stand", metadata: ["target.count": "\(lost.count)"])
            await whenFresh()
          }
        } catch {
          failures += 1
          if failures == 1 { logger.error("LIO is not ready", metadata: ["error": "\(error)"]) }
        }
        try? await Task.sleep(for: interval * min(8, 1 + failures))
      }
    }
  }
}
