import TestBed

/// Create → `available` with the memory backend, 16 clients, the store on disk.
enum CreationBenchmark {
  static func run(_ report: inout Report) async throws {
    let (times, total) = try await MemoryFleet.with { fleet in
      _ = try await fleet.create(200, clients: 16)
      let clock = ContinuousClock()
      let start = clock.now
      let times = try await fleet.create(3000, clients: 16)
      return (times.map(\.milliseconds), clock.now - start)
    }
    let rate = Double(times.count) / total.seconds
    let p99 = times.percentile(0.99)
    report.add(
      "create to available, 16 clients", "\(format(rate, 0)) volumes/s", promise: ">= 300 volumes/s", holds: rate >= 300
    )
    report.add(
      "the same, one volume", "median \(format(times.percentile(0.5))) ms, p99 \(format(p99)) ms",
      promise: "p99 < 250 ms", holds: p99 < 250)
  }
}
