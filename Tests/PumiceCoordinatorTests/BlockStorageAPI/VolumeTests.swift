import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct VolumeTests {
  @Test func aVolumeIsAcceptedMadeShownAndDeleted() async throws {
    try await withCoordinator { (coordinator) async throws in
      let created = try await coordinator.send(
        .post, "/v3/demo/volumes",
        #"{"volume": {"size": 2, "name": " db ", "description": "two\nlines", "metadata": {"a": "b"}, "multiattach": false, "snapshot_id": null}}"#
      )
      #expect(created.status == 202)
      #expect(created["volume"]["status"] == .string("creating"))
      let id = try #require(created["volume"]["id"].string.flatMap { VolumeID($0) })
      try await coordinator.until("it is available") { $0.volumes[id]?.state == .available }
      let shown = try await coordinator.get("/v3/demo/volumes/\(id)")["volume"]
      #expect(shown["status"] == .string("available"))
      #expect(shown["name"] == .string("db"))
      #expect(shown["description"] == .string("two\nlines"))
      #expect(shown["size"] == .integer(2))
      #expect(shown["metadata"] == .object(["a": .string("b")]))
      #expect(shown["availability_zone"] == .string("nova"))
      #expect(shown["volume_type"] == .string("__DEFAULT__"))
      #expect(shown["bootable"] == .string("false"))
      #expect(shown["encrypted"] == .bool(false))
      #expect(shown["attachments"] == .array([]))
      #expect(shown["snapshot_id"] == .null && shown.object["snapshot_id"] != nil)
      #expect(shown["os-vol-host-attr:host"] == .string("n1@ssd#ssd"))
      #expect(shown["created_at"].string?.utf8.count == 26)
      #expect(shown["links"][0]["href"] == .string("http://localhost/v3/demo/volumes/\(id)"))
      #expect(coordinator.nodes[0].volumes == [id: .gibibytes(2)])

      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(id)").status == 202)
      try await coordinator.until("it is gone") { $0.volumes[id]?.state == .deleted }
      #expect(try await coordinator.get("/v3/demo/volumes/\(id)").status == 404)
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(id)").status == 404)
      #expect(coordinator.nodes[0].volumes.isEmpty)
    }
  }

  @Test func theProjectMayBeLeftOutOfTheURL() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.volume(project: "demo")
      #expect(try await coordinator.get("/v3/volumes/\(id)").status == 200)
      let listed = try await coordinator.send(.get, "/v3/volumes", headers: ["X-Project-Id": "demo"])
      #expect(listed["volumes"].array.count == 1)
      #expect(try await coordinator.get("/v3/volumes")["volumes"].array.isEmpty)
      let created = try await coordinator.send(.post, "/v3/volumes", #"{"volume": {"size": 1}}"#)
      #expect(created["volume"]["os-vol-tenant-attr:tenant_id"] == .string("admin"))
    }
  }

  @Test func fieldsAppearWithTheirMicroversion() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.volume()
      let fields: [(String, String, String)] = [
        ("group_id", "3.12", "3.13"), ("provider_id", "3.20", "3.21"), ("shared_targets", "3.47", "3.48"),
        ("service_uuid", "3.47", "3.48"), ("cluster_name", "3.60", "3.61"), ("volume_type_id", "3.62", "3.63"),
        ("consumes_quota", "3.64", "3.65"),
      ]
      for (field, before, since) in fields {
        let path = "/v3/demo/volumes/\(id)"
        #expect(try await coordinator.get(path, version: before)["volume"].object[field] == nil, "\(field)")
        #expect(try await coordinator.get(path, version: since)["volume"].object[field] != nil, "\(field)")
      }
    }
  }

  @Test func nameDescriptionAndMetadataCanBeChanged() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.volume()
      let path = "/v3/demo/volumes/\(id)"
      let renamed = try await coordinator.send(.put, path, #"{"volume": {"name": "new", "description": "d"}}"#)
      #expect(renamed.status == 200)
      #expect(renamed["volume"]["name"] == .string("new"))
      // What was shown before must not be shown again.
      #expect(try await coordinator.get(path)["volume"]["description"] == .string("d"))

      let merged = try await coordinator.send(.post, "\(path)/metadata", #"{"metadata": {"a": "1", "b": "2"}}"#)
      #expect(merged["metadata"] == .object(["a": .string("1"), "b": .string("2")]))
      #expect(try await coordinator.send(.put, "\(path)/metadata/a", #"{"meta": {"a": "3"}}"#).status == 200)
      #expect(try await coordinator.get("\(path)/metadata/a")["meta"]["a"] == .string("3"))
      #expect(try await coordinator.send(.delete, "\(path)/metadata/a").status == 200)
      #expect(try await coordinator.get("\(path)/metadata/a").status == 404)
      #expect(try await coordinator.send(.delete, "\(path)/metadata/a").status == 404)
      let replaced = try await coordinator.send(.put, "\(path)/metadata", #"{"metadata": {"c": "4"}}"#)
      #expect(replaced["metadata"] == .object(["c": .string("4")]))
      #expect(try await coordinator.get("\(path)/metadata")["metadata"] == .object(["c": .string("4")]))
      #expect(try await coordinator.get(path)["volume"]["metadata"] == .object(["c": .string("4")]))
    }
  }

  @Test func aVolumeGrows() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.volume()
      let answer = try await coordinator.send(
        .post, "/v3/demo/volumes/\(id)/action", #"{"os-extend": {"new_size": 3}}"#)
      #expect(answer.status == 202)
      try await coordinator.until("it has grown") { $0.volumes[id]?.size == .gibibytes(3) }
      #expect(try await coordinator.get("/v3/demo/volumes/\(id)")["volume"]["size"] == .integer(3))
      #expect(coordinator.nodes[0].volumes[id] == .gibibytes(3))
    }
  }

  @Test func aVolumeThatFitsNowhereSaysWhyPoolByPool() async throws {
    try await withCoordinator(nodes: [
      FakeNode("n1", poolSize: .gibibytes(10)), FakeNode("n2", poolSize: .gibibytes(20)),
    ]) {
      (coordinator) async throws in
      let created = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 50}}"#)
      #expect(created.status == 202)
      #expect(created["volume"]["status"] == .string("error"))
      let id = try #require(created["volume"]["id"].string)
      let messages = try await coordinator.get("/v3/demo/messages?resource_uuid=\(id)", version: "3.5")["messages"]
      let text = try #require(messages[0]["user_message"].string)
      #expect(text.contains("n1@ssd#ssd") && text.contains("n2@ssd#ssd") && text.contains("CapacityFilter"))
      #expect(messages[0]["request_id"].string == created.headers[.requestID])
      #expect(messages[0]["resource_uuid"] == .string(id))
      #expect(messages[0]["message_level"] == .string("ERROR"))
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(id)").status == 202)
      #expect(try await coordinator.get("/v3/demo/volumes/\(id)").status == 404)
    }
  }

  @Test func aFailedPoolIsLeftForAnotherOne() async throws {
    try await withCoordinator(nodes: [
      FakeNode("n1", poolSize: .gibibytes(1000)), FakeNode("n2", poolSize: .gibibytes(500)),
    ]) {
      (coordinator) async throws in
      coordinator.nodes[0].failVolumes(with: StorageError(.noSpace, "The disk is full after all."))
      let id = try await coordinator.volume()
      let explained = try await coordinator.get("/pumice/v1/volumes/\(id)/explain")
      #expect(explained["placement"]["pool"] == .string("n2@ssd#ssd"))
      #expect(explained["placement"]["tried"] == .array([.string("n1@ssd#ssd")]))
    }
  }

  @Test func onlyErrorStatesCanBeReset() async throws {
    try await withCoordinator(nodes: [FakeNode("n1", poolSize: .gibibytes(10))]) { (coordinator) async throws in
      let id = try await coordinator.volume()
      coordinator.nodes[0].failVolumes(with: StorageError(.unsupported, "This pool can't grow."))
      let path = "/v3/demo/volumes/\(id)"
      _ = try await coordinator.send(.post, "\(path)/action", #"{"os-extend": {"new_size": 2}}"#)
      try await coordinator.until("the extend failed") { $0.volumes[id]?.state == .errorExtending }
      #expect(try await coordinator.get(path)["volume"]["status"] == .string("error_extending"))
      #expect(
        try await coordinator.send(.post, "\(path)/action", #"{"os-reset_status": {"status": "available"}}"#).status
          == 202)
      #expect(try await coordinator.get(path)["volume"]["status"] == .string("available"))
      let refused = try await coordinator.send(.post, "\(path)/action", #"{"os-reset_status": {"status": "creating"}}"#)
      #expect(refused.status == 400)
      #expect(refused.headers[.errorCode] == "conflict")
    }
  }

  @Test func theSummaryAddsUp() async throws {
    try await withCoordinator { (coordinator) async throws in
      try await coordinator.volume("a", size: 1, more: #", "metadata": {"k": "x"}"#)
      try await coordinator.volume("b", size: 3, more: #", "metadata": {"k": "y"}"#)
      let summary = try await coordinator.get("/v3/demo/volumes/summary", version: "3.36")["volume-summary"]
      #expect(summary["total_count"] == .integer(2))
      #expect(summary["total_size"] == .integer(4))
      #expect(summary["metadata"]["k"] == .array([.string("x"), .string("y")]))
      let older = try await coordinator.get("/v3/demo/volumes/summary", version: "3.12")["volume-summary"]
      #expect(older.object["metadata"] == nil)
    }
  }

  @Test func whatIsNotedOfAnImageIsShownUntilItIsTakenAway() async throws {
    try await withCoordinator { (coordinator) async throws in
      let path = "/v3/demo/volumes/\(try await coordinator.volume())"
      func act(_ body: String) async throws -> Answer { try await coordinator.send(.post, "\(path)/action", body) }
      #expect(try await coordinator.get(path)["volume"].object["volume_image_metadata"] == nil)
      let set = try await act(#"{"os-set_image_metadata": {"metadata": {"os": "debian", "arch": "x"}}}"#)
      #expect(set.status == 200 && set["metadata"]["os"].string == "debian")
      #expect(try await act(#"{"os-set_bootable": {"bootable": true}}"#).status == 200)
      let shown = try await coordinator.get(path)["volume"]
      #expect(shown["bootable"].string == "true" && shown["volume_image_metadata"]["arch"].string == "x")
      #expect(try await coordinator.get("/v3/demo/volumes?bootable=true")["volumes"].array.count == 1)
      #expect(try await act(#"{"os-show_image_metadata": null}"#)["metadata"].object.count == 2)
      for key in ["os", "arch"] {
        #expect(try await act("{\"os-unset_image_metadata\": {\"key\": \"\(key)\"}}").status == 200)
      }
      #expect(try await act(#"{"os-unset_image_metadata": {"key": "os"}}"#).status == 404)
      #expect(try await act(#"{"os-set_bootable": {"bootable": false}}"#).status == 200)
      let after = try await coordinator.get(path)["volume"]
      #expect(after["bootable"].string == "false" && after.object["volume_image_metadata"] == nil)
      #expect(try await coordinator.get("/v3/demo/volumes?bootable=true")["volumes"].array.isEmpty)
    }
  }
}
