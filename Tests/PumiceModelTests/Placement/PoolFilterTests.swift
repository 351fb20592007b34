import PumiceModel
import Testing

struct PoolFilterTests {
  private func refusal(_ pool: PoolState, _ request: PlacementRequest = PlacementRequest(size: .gibibytes(1)))
    -> PoolRefusal?
  {
    Scheduler().refusal(of: request, by: pool)
  }

  @Test func aFittingPoolIsNotRefused() {
    #expect(refusal(.make()) == nil)
    #expect(refusal(.make(), PlacementRequest(size: .gibibytes(100), availabilityZone: "nova")) == nil)
  }

  @Test func theZoneMustBeTheOneAskedFor() {
    let refusal = refusal(.make(zone: "b"), PlacementRequest(size: .gibibytes(1), availabilityZone: "a"))
    #expect(refusal?.filter == "AvailabilityZoneFilter")
    #expect(refusal?.reason == "is in availability zone b, not in a")
  }

  @Test func theCapabilitiesMustBeThere() {
    let request = PlacementRequest(size: .gibibytes(1), extraSpecs: ["ssd": "<is> true"])
    #expect(refusal(.make(), request)?.filter == "CapabilitiesFilter")
    #expect(refusal(.make(), request)?.reason == "has no ssd, which must be \"<is> true\"")
    #expect(
      refusal(.make(capabilities: ["ssd": ["no"]]), request)?.reason == "has ssd \"no\", which must be \"<is> true\"")
    #expect(refusal(.make(capabilities: ["ssd": ["yes"]]), request) == nil)
  }

  @Test func aPoolThatWasTriedIsNotTriedAgain() {
    let request = PlacementRequest(size: .gibibytes(1), excluded: [.vg1])
    #expect(refusal(.make("node1"), request)?.filter == "IgnoreAttemptedHostsFilter")
    #expect(refusal(.make("node2"), request) == nil)
  }

  @Test func theNodeMustBeUpAndEnabledAndThePoolToo() {
    var pool = PoolState.make()
    pool.isNodeUp = false
    #expect(refusal(pool)?.filter == "ServiceFilter")
    #expect(refusal(pool)?.reason == "is on node node1, which is down")

    pool = .make()
    pool.isNodeEnabled = false
    #expect(refusal(pool)?.reason == "is on node node1, which is disabled")
    pool.disabledReason = "new disks"
    #expect(refusal(pool)?.reason == "is on node node1, which is disabled: new disks")

    pool = .make()
    pool.report.downReason = "VG vg not found."
    #expect(refusal(pool)?.reason == "is down: VG vg not found.")
  }

  @Test func thereMustBeRoom() {
    #expect(refusal(.make(free: 5), PlacementRequest(size: .gibibytes(6)))?.filter == "CapacityFilter")
    #expect(refusal(.make(free: 5), PlacementRequest(size: .gibibytes(5))) == nil)
  }
}
