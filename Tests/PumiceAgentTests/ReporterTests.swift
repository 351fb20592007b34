import Logging
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct ReporterTests {
  /// A coordinator that counts, and is away when told to be.
  private final class Sink: ReportSink {
    let reports = Shared(0)
    let error = Shared<StorageError?>(nil)

    var count: Int { reports.withLock { $0 } }

    func send(_ report: NodeReport) async throws(StorageError) {
      reports.withLock { $0 += 1 }
      if let error = error.withLock({ $0 }) { throw error }
    }
  }

  private let node = NodeFixture().start()
  private let sink = Sink()

  private func running(_ reporter: Reporter, _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup { group in
      group.addTask { try await reporter.run() }
      try await body()
      group.cancelAll()
    }
  }

  @Test func theFirstReportGoesOutAtOnceAndOthersFollow() async throws {
    let reporter = Reporter(node: node, sink: sink, interval: .milliseconds(5), logger: .silent)
    try await running(reporter) { try await eventually { sink.count >= 3 } }
  }

  @Test func aChangeIsReportedSoonAndManyMakeOneReport() async throws {
    let reporter = Reporter(node: node, sink: sink, interval: .seconds(600), startsAtOnce: false, logger: .silent)
    try await running(reporter) {
      for _ in 1...50 { reporter.changed() }
      try await eventually { sink.count == 1 }
      try await Task.sleep(for: Reporter.gathering * 2)
      #expect(sink.count == 1)
    }
  }

  @Test func anOutageIsLoggedOnceAndItsEndOnce() async throws {
    let lines = RecordingLogHandler.Lines()
    sink.error.withLock { $0 = StorageError(.unavailable, "away") }
    let reporter = Reporter(
      node: node, sink: sink, interval: .milliseconds(2), logger: RecordingLogHandler.logger(lines))
    try await running(reporter) {
      try await eventually { sink.count >= 5 }
      sink.error.withLock { $0 = nil }
      try await eventually { lines.all.contains { $0.contains("again") } }
    }
    #expect(lines.all.filter { $0.contains("takes no reports") }.count == 1)
    #expect(lines.all.filter { $0.contains("takes reports again") }.count == 1)
  }

  @Test func pausesGrowWhileTheCoordinatorIsAway() async throws {
    let pauses = Shared<[Duration]>([])
    sink.error.withLock { $0 = StorageError(.unavailable, "away") }
    let reporter = Reporter(node: node, sink: sink, interval: .seconds(10), logger: .silent) { pause in
      pauses.withLock { $0.append(pause) }
      if pauses.withLock({ $0.count }) > 7 { try await Task.sleep(for: .seconds(60)) }
    }
    try await running(reporter) { try await eventually { pauses.withLock { $0.count } >= 7 } }
    #expect(
      pauses.withLock { Array($0.prefix(7)) }
        == [.zero, .seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(10), .seconds(10)])
  }
}
