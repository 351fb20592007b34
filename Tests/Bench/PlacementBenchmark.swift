import PumiceModel

/// Placement over 10,000 pools.
enum PlacementBenchmark {
  static func run(_ report: inout Report) async throws {
    let pools = (0..<10_000).map { number in
      PoolState(
        name: PoolName(node: "node\(number / 4)", backend: "b\(number % 4)", pool: "p"),
        availabilityZone: "zone\(number % 3)",
        report: PoolReport(
          backend: "b\(number % 4)", pool: "p", total: .gibibytes(1000), free: .gibibytes(200 + number % 700),
          isThin: true, reservedPercentage: 5, maxOverSubscriptionRatio: 10,
          capabilities: ["storage_protocol": ["iSCSI"], "media": [number % 2 == 0 ? "ssd" : "hdd"]]),
        promised: .gibibytes(number % 500))
    }
    let request = PlacementRequest(
      size: .gibibytes(10), availabilityZone: "zone1", extraSpecs: ["media": "ssd"], excluded: [pools[4].name])
    var times: [Double] = []
    for roll in 0..<60 {
      let clock = ContinuousClock()
      let time = clock.measure {
        guard case .placed = Scheduler().place(request, on: pools, roll: UInt64(roll)) else {
          preconditionFailure("The pools have room.")
        }
      }
      times.append(time.milliseconds)
    }
    let median = times.percentile(0.5)
    report.add("placement over 10,000 pools", "\(format(median, 2)) ms", promise: "< 5 ms", holds: median < 5)
  }
}
