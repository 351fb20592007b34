import PumiceModel
import Testing

struct SchedulerTests {
  private func place(
    _ size: Int, on pools: [PoolState], zone: String? = nil, excluded: [PoolName] = [],
    weighers: [String: Double] = ["capacity": 1], roll: UInt64 = 0
  ) throws -> Placement {
    try Scheduler(weighing: PoolWeighing(weighers)).place(
      PlacementRequest(size: .gibibytes(size), availabilityZone: zone, excluded: excluded), on: pools, roll: roll)
  }

  @Test func theEmptiestPoolIsPicked() throws {
    let pools = [PoolState.make("a", free: 50), .make("b", free: 70), .make("c", free: 60)]
    #expect(try place(10, on: pools) == .placed(pools[1].name, availabilityZone: "nova"))
  }

  @Test func aNegativeMultiplierStacksVolumes() throws {
    let pools = [PoolState.make("a", free: 50), .make("b", free: 5), .make("c", free: 20)]
    #expect(try place(10, on: pools, weighers: ["capacity": -1]).pool?.node == "c")
  }

  @Test func weighersAddUpByTheirMultipliers() throws {
    let pools = [
      PoolState.make("roomy", total: 1000, free: 1000, promised: 90, volumes: 9), .make("idle", promised: 0),
      .make("some", total: 500, free: 400, promised: 30, volumes: 1),
    ]
    #expect(try place(1, on: pools).pool?.node == "roomy")
    #expect(try place(1, on: pools, weighers: ["allocated_capacity": -1]).pool?.node == "idle")
    #expect(try place(1, on: pools, weighers: ["volume_number": -1]).pool?.node == "idle")
    #expect(try place(1, on: pools, weighers: ["volume_number": 1]).pool?.node == "roomy")
    #expect(try place(1, on: pools, weighers: ["capacity": 1, "volume_number": -1.2]).pool?.node == "some")
  }

  @Test func aWrongMultiplierIsRefusedByItsName() throws {
    for weighers in [["goodness": 1.0], ["capacity": .nan], ["capacity": .infinity]] {
      let error = #expect(throws: StorageError.self) { _ = try PoolWeighing(weighers) }
      #expect(error?.code == .invalid)
      #expect(error?.field == weighers.keys.first)
    }
  }

  @Test func equalPoolsShareTheVolumesAndTheSameRollGivesTheSamePool() throws {
    let pools = (0..<4).map { PoolState.make("n\($0)") }
    let picked = try (0..<UInt64(4)).map { try place(1, on: pools, roll: $0).pool }
    #expect(Set(picked).count == 4)
    let (first, second) = (try place(1, on: pools, roll: 11), try place(1, on: pools, roll: 11))
    #expect(first == second)
    #expect(try place(1, on: pools, roll: .max).pool != nil)
  }

  @Test func theBestPoolWinsWhateverTheRoll() throws {
    let pools = [PoolState.make("a", free: 50), .make("b"), .make("c", free: 60)]
    for roll in 0..<UInt64(10) { #expect(try place(1, on: pools, roll: roll).pool?.node == "b") }
  }

  @Test func aRetryGoesToAnotherPoolUntilNoneIsLeft() throws {
    let pools = [PoolState.make("a", free: 50), .make("b", free: 70)]
    #expect(try place(10, on: pools, excluded: [pools[1].name]).pool?.node == "a")
    let last = try place(10, on: pools, excluded: pools.map(\.name))
    #expect(last.refusals.map(\.filter) == ["IgnoreAttemptedHostsFilter", "IgnoreAttemptedHostsFilter"])
  }

  @Test func aThinPoolThatIs999PerMilleFullIsRefused() throws {
    let full = PoolState.make("full", total: 1000, free: 1, thin: true, ratio: 20)
    #expect(try place(1, on: [full]).refusals.map(\.filter) == ["CapacityFilter"])
    let roomy = PoolState.make("roomy", total: 10, free: 10)
    #expect(try place(1, on: [full, roomy]).pool?.node == "roomy")
  }

  @Test func everyPoolGivesItsOwnReason() {
    var down = PoolState.make("down")
    down.isNodeUp = false
    let pools = [PoolState.make("full", free: 1), .make("far", zone: "b"), down]
    let request = PlacementRequest(size: .gibibytes(10), availabilityZone: "nova")
    let refusals = Scheduler().place(request, on: pools, roll: 0).refusals
    #expect(refusals.map(\.pool) == pools.map(\.name))
    #expect(refusals.map(\.filter) == ["CapacityFilter", "AvailabilityZoneFilter", "ServiceFilter"])
    #expect(
      PoolRefusal.summary(refusals, for: request)
        == "No pool for 10 GiB in availability zone nova. "
        + "full@lvm#vg: has room for 1 GiB where 10 GiB are needed: 1 GiB of 100 GiB are physically free (CapacityFilter); "
        + "far@lvm#vg: is in availability zone b, not in nova (AvailabilityZoneFilter); "
        + "down@lvm#vg: is on node down, which is down (ServiceFilter).")
  }

  @Test func withoutPoolsTheSummarySaysSo() {
    let request = PlacementRequest(size: .gibibytes(10))
    #expect(Scheduler().place(request, on: [], roll: 5) == .refused([]))
    #expect(PoolRefusal.summary([], for: request) == "No pool for 10 GiB: no node has reported a pool yet.")
  }

  @Test func aLongSummaryCountsTheRest() throws {
    let pools = (0..<1000).map { PoolState.make("n\($0)", zone: $0 < 900 ? "a" : "b", free: 1) }
    let request = PlacementRequest(size: .gibibytes(10), availabilityZone: "b")
    let refusals = Scheduler().place(request, on: pools, roll: 0).refusals
    #expect(refusals.count == 1000)
    let summary = PoolRefusal.summary(refusals, for: request)
    #expect(summary.hasSuffix("; and 960 more: 860 by AvailabilityZoneFilter, 100 by CapacityFilter."))
    #expect(summary.utf8.count < 5000)
  }

  /// Random fleets: what is placed passes every filter, what is refused passes none, and nothing is promised twice.
  @Test(arguments: UInt64(1)...200)
  func placementsHoldWhateverTheFleet(_ seed: UInt64) throws {
    var dice = SplitMix64(seed: seed)
    var pools = (0..<Int.random(in: 1...12, using: &dice)).map { Self.randomPool($0, &dice) }
    for _ in 0..<60 {
      let request = PlacementRequest(
        size: .gibibytes(.random(in: 1...60, using: &dice)),
        availabilityZone: Bool.random(using: &dice) ? nil : ["a", "b"].randomElement(using: &dice),
        extraSpecs: Bool.random(using: &dice) ? [:] : ["ssd": "<is> true"],
        excluded: Bool.random(using: &dice) ? [] : [pools[0].name])
      let multipliers = ["capacity": Double.random(in: -1...1, using: &dice), "volume_number": -0.5]
      let scheduler = Scheduler(weighing: try PoolWeighing(multipliers))
      switch scheduler.place(request, on: pools, roll: dice.next()) {
      case .placed(let name, let zone):
        let index = try #require(pools.firstIndex { $0.name == name })
        #expect(scheduler.refusal(of: request, by: pools[index]) == nil)
        #expect(zone == pools[index].availabilityZone)
        #expect(request.availabilityZone == nil || request.availabilityZone == zone)
        #expect(!request.excluded.contains(name))
        pools[index].promised += request.size
        pools[index].unconfirmed += request.size
        pools[index].volumeCount += 1
        expectNothingPromisedTwice(pools[index])
      case .refused(let refusals):
        #expect(refusals.map(\.pool) == pools.map(\.name))
        for pool in pools { #expect(scheduler.refusal(of: request, by: pool) != nil) }
      }
    }
  }

  private func expectNothingPromisedTwice(_ pool: PoolState) {
    let report = pool.report
    let ratio = report.isThin ? report.maxOverSubscriptionRatio : 1
    let reserved = ByteCount(report.total.bytes / 100 * Int64(report.reservedPercentage))
    #expect(pool.promised + report.foreignProvisioned <= (report.total - reserved).scaled(by: ratio))
    #expect(pool.unconfirmed <= (report.free - reserved).scaled(by: ratio))
  }

  private static func randomPool(_ index: Int, _ dice: inout SplitMix64) -> PoolState {
    let total = Int.random(in: 1...400, using: &dice)
    let free = Int.random(in: 0...total, using: &dice)
    let promised = Int.random(in: 0...(total - free), using: &dice)
    var pool = PoolState.make(
      "n\(index)", zone: Bool.random(using: &dice) ? "a" : "b", total: total, free: free,
      foreign: .random(in: 0...(total - free - promised), using: &dice), thin: .random(using: &dice),
      reserved: [0, 5, 10].randomElement(using: &dice) ?? 0, ratio: [1, 1.5, 20].randomElement(using: &dice) ?? 1,
      capabilities: Bool.random(using: &dice) ? ["ssd": ["true"]] : [:], promised: promised)
    pool.isNodeUp = Int.random(in: 0..<8, using: &dice) > 0
    pool.isNodeEnabled = Int.random(in: 0..<8, using: &dice) > 0
    return pool
  }
}
