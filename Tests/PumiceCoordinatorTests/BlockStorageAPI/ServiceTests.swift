import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct ServiceTests {
  @Test func nodesAreShownAsCindersServices() async throws {
    try await withCoordinator(nodes: [FakeNode("n1", zone: "az1"), FakeNode("n2", zone: "az2")]) {
      (coordinator) async throws in
      let services = try await coordinator.get("/v3/demo/os-services", version: "3.49")["services"].array
      #expect(services.map { $0["host"].string } == ["coordinator", "n1@ssd", "n2@ssd"])
      #expect(services.map { $0["binary"].string } == ["cinder-scheduler", "cinder-volume", "cinder-volume"])
      #expect(services.allSatisfy { $0["state"] == .string("up") && $0["status"] == .string("enabled") })
      #expect(services[1]["zone"] == .string("az1"))
      #expect(services[1]["backend_state"] == .string("up"))
      #expect(try await coordinator.get("/v3/demo/os-services?host=n2@ssd")["services"].array.count == 1)
      #expect(try await coordinator.get("/v3/demo/os-services?host=n2")["services"].array.count == 1)
      #expect(try await coordinator.get("/v3/demo/os-services?binary=cinder-scheduler")["services"].array.count == 1)
      let zones = try await coordinator.get("/v3/demo/os-availability-zone")["availabilityZoneInfo"].array
      #expect(zones.map { $0["zoneName"].string } == ["az1", "az2"])
      #expect(zones.allSatisfy { $0["zoneState"]["available"] == .bool(true) })
    }
  }

  @Test func aDisabledNodeGetsNoVolumesAndSaysWhy() async throws {
    try await withCoordinator { (coordinator) async throws in
      let disabled = try await coordinator.send(
        .put, "/v3/demo/os-services/disable-log-reason",
        #"{"binary": "cinder-volume", "host": "n1@ssd", "disabled_reason": "new disks"}"#)
      #expect(disabled.status == 200)
      #expect(disabled["status"] == .string("disabled"))
      #expect(disabled["disabled_reason"] == .string("new disks"))
      let service = try await coordinator.get("/v3/demo/os-services?binary=cinder-volume")["services"][0]
      #expect(service["status"] == .string("disabled"))
      #expect(service["disabled_reason"] == .string("new disks"))
      let refused = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 1}}"#)
      #expect(refused["volume"]["status"] == .string("error"))
      #expect(coordinator.tables.messages.values.first?.text.contains("new disks") == true)
      let enabled = try await coordinator.send(
        .put, "/v3/demo/os-services/enable", #"{"binary": "cinder-volume", "host": "n1@ssd"}"#)
      #expect(enabled["status"] == .string("enabled"))
      try await coordinator.volume()
      let unknown = try await coordinator.send(.put, "/v3/demo/os-services/enable", #"{"host": "n9@ssd"}"#)
      #expect(unknown.status == 404)
    }
  }

  @Test func poolsAreShownWithWhatTheyHaveAndCan() async throws {
    try await withCoordinator(nodes: [FakeNode("n1", poolSize: .gibibytes(100))]) { (coordinator) async throws in
      try await coordinator.volume(size: 7)
      let brief = try await coordinator.get("/v3/demo/scheduler-stats/get_pools")["pools"]
      #expect(brief == .array([.object(["name": .string("n1@ssd#ssd")])]))
      let pool = try await coordinator.get("/v3/demo/scheduler-stats/get_pools?detail=True")["pools"][0]["capabilities"]
      #expect(pool["total_capacity_gb"] == .integer(100))
      #expect(pool["allocated_capacity_gb"] == .integer(7))
      #expect(pool["thin_provisioning_support"] == .bool(false))
      #expect(pool["reserved_percentage"] == .integer(0))
      #expect(pool["max_over_subscription_ratio"] == .string("1.0"))
      #expect(pool["media"] == .string("ssd"))
      #expect(pool["volume_backend_name"] == .string("ssd"))
      _ = try await coordinator.send(
        .post, "/v3/demo/types", #"{"volume_type": {"name": "tape", "extra_specs": {"media": "tape"}}}"#)
      let none = try await coordinator.get("/v3/demo/scheduler-stats/get_pools?volume_type=tape", version: "3.35")
      #expect(none["pools"].array.isEmpty)
    }
  }
}
