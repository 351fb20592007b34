import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// The older list of services, which some programs still ask for.
@Suite struct HostTests {
  @Test func hostsAreTheServicesInOtherWords() async throws {
    try await withCoordinator(nodes: [FakeNode("n1", zone: "az1"), FakeNode("n2", zone: "az2")]) {
      (coordinator) async throws in
      let hosts = try await coordinator.get("/v3/demo/os-hosts")["hosts"].array
      #expect(hosts.map { $0["host_name"].string } == ["coordinator", "n1@ssd", "n2@ssd"])
      #expect(hosts.map { $0["service"].string } == ["cinder-scheduler", "cinder-volume", "cinder-volume"])
      #expect(hosts.allSatisfy { $0["service-status"] == .string("available") })
      #expect(hosts.allSatisfy { $0["service-state"] == .string("enabled") && $0["last-update"].string != nil })
      let ofZone = try await coordinator.get("/v3/demo/os-hosts?zone=az2")["hosts"].array
      #expect(ofZone.map { $0["host_name"].string } == ["n2@ssd"])
    }
  }

  @Test func aHostSaysWhatLiesThereOfWhom() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume(size: 2)
      try await coordinator.volume(size: 3, project: "other")
      try await coordinator.snapshot(of: volume)
      for host in ["n1@ssd", "n1", "n1%40ssd"] {
        let use = try await coordinator.get("/v3/demo/os-hosts/\(host)")["host"].array.map { $0["resource"] }
        #expect(use.map { $0["project"].string } == ["(total)", "demo", "other"])
        #expect(use.map { $0["volume_count"].string } == ["2", "1", "1"])
        #expect(use.map { $0["total_volume_gb"].string } == ["5", "2", "3"])
        #expect(use.map { $0["snapshot_count"].string } == ["1", "1", "0"])
        #expect(use.map { $0["total_snapshot_gb"].string } == ["2", "2", "0"])
      }
      for host in ["n2", "n1@hdd", "coordinator"] {
        #expect(try await coordinator.get("/v3/demo/os-hosts/\(host)").status == 404)
      }
    }
  }

  @Test func aHostIsSwitchedAsItsServiceIs() async throws {
    try await withCoordinator { (coordinator) async throws in
      let disabled = try await coordinator.send(.put, "/v3/demo/os-hosts/n1@ssd", #"{"status": "disable"}"#)
      #expect(disabled.status == 200 && disabled["status"] == .string("disabled"), "\(disabled.text)")
      #expect(disabled["host"] == .string("n1@ssd"))
      let hosts = try await coordinator.get("/v3/demo/os-hosts")["hosts"].array
      #expect(hosts.last?["service-state"] == .string("disabled"))
      let services = try await coordinator.get("/v3/demo/os-services?host=n1")["services"].array
      #expect(services.first?["status"] == .string("disabled"))
      let enabled = try await coordinator.send(.put, "/v3/demo/os-hosts/n1", #"{"status": "Enable"}"#)
      #expect(enabled["status"] == .string("enabled"))
      for body in [#"{"status": "maybe"}"#, #"{"status": null}"#, #"{"maintenance_mode": "enable"}"#, "{}"] {
        #expect(try await coordinator.send(.put, "/v3/demo/os-hosts/n1", body).status == 400, "\(body)")
      }
      #expect(try await coordinator.send(.put, "/v3/demo/os-hosts/n9", #"{"status": "enable"}"#).status == 404)
    }
  }
}
