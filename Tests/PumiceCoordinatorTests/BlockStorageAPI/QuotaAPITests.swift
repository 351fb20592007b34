import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct QuotaAPITests {
  @Test func aQuotaIsShownSetKeptAndReset() async throws {
    try await withCoordinator { (coordinator) async throws in
      let path = "/v3/demo/os-quota-sets/demo"
      let shown = try await coordinator.get(path)["quota_set"]
      #expect(shown["id"] == .string("demo"))
      #expect(shown["volumes"] == .integer(10))
      #expect(shown["gigabytes"] == .integer(1000))
      #expect(shown["volumes___DEFAULT__"] == .integer(-1))
      let set = try await coordinator.send(
        .put, path, #"{"quota_set": {"tenant_id": "demo", "volumes": 2, "gigabytes": 5}}"#)
      #expect(set.status == 200)
      #expect(set["quota_set"]["volumes"] == .integer(2))

      try await coordinator.volume("a", size: 3)
      let tooLarge = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 3}}"#)
      #expect(tooLarge.status == 413)
      #expect(tooLarge.error?.key == "overLimit" || tooLarge["overLimit"]["code"] == .integer(413))
      #expect(tooLarge["overLimit"]["message"].string?.contains("gigabytes") == true)
      try await coordinator.volume("b", size: 1)
      let tooMany = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 1}}"#)
      #expect(tooMany.status == 413)
      #expect(tooMany["overLimit"]["message"].string?.contains("volumes") == true)
      #expect(coordinator.tables.volumes.count == 2)

      let used = try await coordinator.get("\(path)?usage=True")["quota_set"]
      #expect(used["volumes"] == .object(["limit": .integer(2), "in_use": .integer(2), "reserved": .integer(0)]))
      #expect(used["gigabytes"]["in_use"] == .integer(4))
      #expect(used["gigabytes___DEFAULT__"]["in_use"] == .integer(4))
      #expect(try await coordinator.get("\(path)/defaults")["quota_set"]["volumes"] == .integer(10))

      let limits = try await coordinator.get("/v3/demo/limits")["limits"]["absolute"]
      #expect(limits["maxTotalVolumes"] == .integer(2))
      #expect(limits["totalVolumesUsed"] == .integer(2))
      #expect(limits["totalGigabytesUsed"] == .integer(4))

      #expect(try await coordinator.send(.delete, path).status == 200)
      #expect(try await coordinator.get(path)["quota_set"]["volumes"] == .integer(10))
    }
  }

  @Test func theDefaultClassHoldsForProjectsWithoutTheirOwn() async throws {
    try await withCoordinator { (coordinator) async throws in
      let path = "/v3/demo/os-quota-class-sets/default"
      #expect(try await coordinator.get(path)["quota_class_set"]["volumes"] == .integer(10))
      let set = try await coordinator.send(
        .put, path, #"{"quota_class_set": {"class_name": "default", "volumes": 1, "gigabytes": 7}}"#)
      #expect(set.status == 200)
      #expect(set["quota_class_set"]["volumes"] == .integer(1))
      #expect(try await coordinator.get(path)["quota_class_set"]["id"] == .string("default"))
      #expect(try await coordinator.get("/v3/demo/os-quota-sets/demo")["quota_set"]["volumes"] == .integer(1))
      #expect(try await coordinator.get("/v3/demo/os-quota-sets/demo/defaults")["quota_set"]["volumes"] == .integer(1))
      try await coordinator.volume()
      #expect(try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 1}}"#).status == 413)

      // A project's own limits come first, and only those that it has.
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"volumes": 2}}"#)
      _ = try await coordinator.send(.put, path, #"{"quota_class_set": {"gigabytes": 8}}"#)
      let own = try await coordinator.get("/v3/demo/os-quota-sets/demo")["quota_set"]
      #expect(own["volumes"] == .integer(2) && own["gigabytes"] == .integer(8))
      #expect(coordinator.tables.quotas["demo"]?.limits == ["volumes": 2])
      _ = try await coordinator.send(.delete, "/v3/demo/os-quota-sets/demo")
      #expect(try await coordinator.get("/v3/demo/os-quota-sets/demo")["quota_set"]["volumes"] == .integer(1))

      for body in [
        #"{"quota_class_set": {}}"#, #"{"quota_class_set": {"shoes": 1}}"#, #"{"quota_class_set": {"volumes": -2}}"#,
      ] {
        #expect(try await coordinator.send(.put, path, body).status == 400, "\(body)")
      }
    }
  }

  @Test func snapshotsCountUnderTheirOwnLimitAndAmongTheGigabytes() async throws {
    try await withCoordinator { (coordinator) async throws in
      let path = "/v3/demo/os-quota-sets/demo"
      let volume = try await coordinator.volume(size: 2)
      _ = try await coordinator.send(.put, path, #"{"quota_set": {"snapshots": 1, "gigabytes": 5}}"#)
      let snapshot = try await coordinator.snapshot(of: volume)
      let body = #"{"snapshot": {"volume_id": "\#(volume)"}}"#
      let tooMany = try await coordinator.send(.post, "/v3/demo/snapshots", body)
      #expect(tooMany.status == 413)
      #expect(tooMany["overLimit"]["message"].string?.contains("snapshots") == true)
      let tooLarge = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 2}}"#)
      #expect(tooLarge.status == 413)
      let used = try await coordinator.get("\(path)?usage=True")["quota_set"]
      #expect(used["snapshots"]["in_use"] == .integer(1))
      #expect(used["gigabytes"]["in_use"] == .integer(4))
      #expect(used["snapshots___DEFAULT__"]["in_use"] == .integer(1))
      #expect(used["gigabytes___DEFAULT__"]["in_use"] == .integer(4))
      let limits = try await coordinator.get("/v3/demo/limits")["limits"]["absolute"]
      #expect(limits["maxTotalSnapshots"] == .integer(1))
      #expect(limits["totalSnapshotsUsed"] == .integer(1))
      #expect(limits["totalGigabytesUsed"] == .integer(4))
      _ = try await coordinator.send(.delete, "/v3/demo/snapshots/\(snapshot)")
      try await coordinator.until("it is gone") { $0.snapshots[snapshot]?.state == .deleted }
      #expect(try await coordinator.get("\(path)?usage=True")["quota_set"]["snapshots"]["in_use"] == .integer(0))
      #expect(try await coordinator.send(.post, "/v3/demo/snapshots", body).status == 202)
    }
  }

  @Test func anExtendCountsToo() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.volume(size: 3)
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"gigabytes": 5}}"#)
      let refused = try await coordinator.send(
        .post, "/v3/demo/volumes/\(id)/action", #"{"os-extend": {"new_size": 6}}"#)
      #expect(refused.status == 413)
      #expect(coordinator.tables.volumes[id]?.state == .available)
    }
  }

  @Test func aHundredAtOnceNeverPassTheQuota() async throws {
    try await withCoordinator { (coordinator) async throws in
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<100 {
          group.addTask { try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 1}}"#).status }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses.count { $0 == 202 } == 10)
      #expect(statuses.count { $0 == 413 } == 90)
      #expect(coordinator.tables.volumes.count == 10)
    }
  }
}
