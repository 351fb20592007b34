import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct SnapshotTests {
  private func names(_ answer: Answer) -> String {
    answer["snapshots"].array.compactMap { $0["name"].string }.joined()
  }

  @Test func aSnapshotIsAcceptedTakenShownAndDeleted() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume(size: 2)
      let created = try await coordinator.send(
        .post, "/v3/demo/snapshots",
        #"{"snapshot": {"volume_id": "\#(volume)", "name": " nightly ", "description": "d", "force": false, "metadata": {"a": "b"}}}"#
      )
      #expect(created.status == 202, "\(created.text)")
      #expect(created["snapshot"]["status"] == .string("creating"))
      let id = try #require(created["snapshot"]["id"].string.flatMap { SnapshotID($0) })
      try await coordinator.until("it is available") { $0.snapshots[id]?.state == .available }
      let path = "/v3/demo/snapshots/\(id)"
      let shown = try await coordinator.get(path)["snapshot"]
      #expect(shown["status"] == .string("available"))
      #expect(shown["name"] == .string("nightly"))
      #expect(shown["description"] == .string("d"))
      #expect(shown["volume_id"] == .string("\(volume)"))
      #expect(shown["size"] == .integer(2))
      #expect(shown["metadata"] == .object(["a": .string("b")]))
      #expect(shown["os-extended-snapshot-attributes:progress"] == .string("100%"))
      #expect(shown["os-extended-snapshot-attributes:project_id"] == .string("demo"))
      #expect(shown["created_at"].string?.utf8.count == 26)
      #expect(shown["updated_at"].string?.utf8.count == 26)
      #expect(coordinator.nodes[0].snapshots == [id: volume])

      #expect(try await coordinator.send(.delete, path).status == 202)
      try await coordinator.until("it is gone") { $0.snapshots[id]?.state == .deleted }
      #expect(try await coordinator.get(path).status == 404)
      #expect(try await coordinator.send(.delete, path).status == 404)
      #expect(coordinator.nodes[0].snapshots.isEmpty)
    }
  }

  @Test func fieldsAppearWithTheirMicroversion() async throws {
    try await withCoordinator { (coordinator) async throws in
      let path = "/v3/demo/snapshots/\(try await coordinator.snapshot(of: try await coordinator.volume()))"
      for (field, before, since) in [
        ("group_snapshot_id", "3.13", "3.14"), ("user_id", "3.40", "3.41"), ("consumes_quota", "3.64", "3.65"),
      ] {
        #expect(try await coordinator.get(path, version: before)["snapshot"].object[field] == nil, "\(field)")
        #expect(try await coordinator.get(path, version: since)["snapshot"].object[field] != nil, "\(field)")
      }
    }
  }

  @Test func progressIsShownInPercent() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      coordinator.nodes[0].setSlices(copy: 4)
      let created = try await coordinator.send(
        .post, "/v3/demo/snapshots", #"{"snapshot": {"volume_id": "\#(volume)"}}"#)
      let id = try #require(created["snapshot"]["id"].string.flatMap { SnapshotID($0) })
      #expect(created["snapshot"]["os-extended-snapshot-attributes:progress"] == .string("0%"))
      try await coordinator.until("half is done") { $0.snapshots[id]?.retry.progress == 0.5 }
      let shown = try await coordinator.get("/v3/demo/snapshots/\(id)")["snapshot"]
      #expect(["50%", "75%"].contains(shown["os-extended-snapshot-attributes:progress"].string))
      let explained = try await coordinator.get("/pumice/v1/snapshots/\(id)/explain")
      #expect(explained["pending_work"] == .string("take on n1@ssd#ssd"))
      try await coordinator.until("it is available") { $0.snapshots[id]?.state == .available }
    }
  }

  @Test func anAttachedVolumeNeedsForceUntilItIsImplied() async throws {
    let vm = Instance(id: .random(), name: "vm", status: .active)
    try await withCoordinator(nodes: [FakeNode("n1", instances: [vm])]) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      _ = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(vm.id)/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#)
      try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }
      for (force, version, status) in [
        ("", "3.65", 400), (#", "force": false"#, "3.65", 400), (#", "force": true"#, "3.65", 202), ("", "3.66", 202),
        (#", "force": "True""#, "3.66", 202), (#", "force": false"#, "3.66", 400),
      ] {
        let answer = try await coordinator.send(
          .post, "/v3/demo/snapshots", #"{"snapshot": {"volume_id": "\#(volume)"\#(force)}}"#, version: version)
        #expect(answer.status == status, "\(force) \(version): \(answer.text)")
        if status == 400 { #expect(answer.message.contains("force"), "\(answer.text)") }
      }
      #expect(coordinator.tables.snapshots.count == 3)
    }
  }

  @Test func nameDescriptionAndMetadataCanBeChanged() async throws {
    try await withCoordinator { (coordinator) async throws in
      let path = "/v3/demo/snapshots/\(try await coordinator.snapshot(of: try await coordinator.volume()))"
      let renamed = try await coordinator.send(
        .put, path, #"{"snapshot": {"name": "new", "description": "d"}}"#)
      #expect(renamed.status == 200)
      #expect(renamed["snapshot"]["name"] == .string("new"))
      #expect(try await coordinator.get(path)["snapshot"]["description"] == .string("d"))

      let merged = try await coordinator.send(.post, "\(path)/metadata", #"{"metadata": {"a": "1", "b": "2"}}"#)
      #expect(merged["metadata"] == .object(["a": .string("1"), "b": .string("2")]))
      #expect(try await coordinator.send(.put, "\(path)/metadata/a", #"{"meta": {"a": "3"}}"#).status == 200)
      #expect(try await coordinator.get("\(path)/metadata/a")["meta"]["a"] == .string("3"))
      #expect(try await coordinator.send(.delete, "\(path)/metadata/a").status == 200)
      #expect(try await coordinator.send(.delete, "\(path)/metadata/a").status == 404)
      #expect(try await coordinator.get("\(path)/metadata/a").status == 404)
      let replaced = try await coordinator.send(.put, "\(path)/metadata", #"{"metadata": {"c": "4"}}"#)
      #expect(replaced["metadata"] == .object(["c": .string("4")]))
      #expect(try await coordinator.get(path)["snapshot"]["metadata"] == .object(["c": .string("4")]))
    }
  }

  @Test func listsAreFilteredSortedAndPaged() async throws {
    try await withCoordinator { (coordinator) async throws in
      let (one, two) = (try await coordinator.volume("one"), try await coordinator.volume("two", size: 2))
      try await coordinator.snapshot(of: one, "a", more: #", "metadata": {"k": "v"}"#)
      try await coordinator.snapshot(of: two, "b")
      try await coordinator.snapshot(of: one, "c")
      for (query, expected) in [
        ("", "cba"), ("volume_id=\(one)", "ca"), ("volume_id=x", ""), ("name=b", "b"), ("name~=b", "b"),
        ("status=available", "cba"), ("status=error", ""), ("metadata=%7B%22k%22:%22v%22%7D", "a"),
        ("sort=name:asc", "abc"), ("sort=size:desc,name:asc", "bac"), ("sort_key=name&sort_dir=asc", "abc"),
        ("sort=volume_id:asc&volume_id=\(two)", "b"), ("limit=2", "cb"), ("offset=1", "ba"),
        ("availability_zone=nova", "cba"), ("availability_zone=mars", ""), ("consumes_quota=true", "cba"),
        ("consumes_quota=false", ""), ("all_tenants=1&project_id=demo", "cba"), ("all_tenants=1&project_id=x", ""),
      ] {
        for path in ["/v3/demo/snapshots", "/v3/demo/snapshots/detail"] {
          #expect(names(try await coordinator.get("\(path)?\(query)", version: "3.65")) == expected, "\(query)")
        }
      }
      #expect(try await coordinator.get("/v3/demo/snapshots?colour=red", version: "3.30")["snapshots"].array.count == 3)
      #expect(try await coordinator.get("/v3/other/snapshots").text == #"{"snapshots":[]}"#)
    }
  }

  @Test func aListWithoutDetailLeavesOutWhatCinderAdds() async throws {
    try await withCoordinator { (coordinator) async throws in
      try await coordinator.snapshot(of: try await coordinator.volume())
      let brief = try await coordinator.get("/v3/demo/snapshots", version: "3.65")["snapshots"][0]
      #expect(
        brief.object.keys.sorted() == [
          "created_at", "description", "id", "metadata", "name", "size", "status", "updated_at", "volume_id",
        ])
    }
  }

  @Test func thePagesTogetherAreTheList() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      for name in ["a", "b", "c"] { try await coordinator.snapshot(of: volume, name) }
      var next: String? = "/v3/demo/snapshots/detail?limit=2&with_count=true"
      var pages: [String] = []
      while let path = next {
        let answer = try await coordinator.get(path, version: "3.45")
        #expect(answer["count"] == .integer(3))
        pages.append(names(answer))
        next = answer["snapshots_links"][0]["href"].string.map { String($0.dropFirst("http://localhost".count)) }
      }
      #expect(pages == ["cb", "a"])
    }
  }

  @Test func adminsMayResetToWhatItIsAndForceADelete() async throws {
    try await withCoordinator { (coordinator) async throws in
      let id = try await coordinator.snapshot(of: try await coordinator.volume())
      let path = "/v3/demo/snapshots/\(id)/action"
      let same = try await coordinator.send(.post, path, #"{"os-reset_status": {"status": "available"}}"#)
      #expect(same.status == 202)
      let other = try await coordinator.send(.post, path, #"{"os-reset_status": {"status": "error"}}"#)
      #expect(other.status == 400)
      #expect(other.headers[.errorCode] == "conflict")
      #expect(try await coordinator.send(.post, path, #"{"os-force_delete": {}}"#).status == 202)
      try await coordinator.until("it is gone") { $0.snapshots[id]?.state == .deleted }
    }
  }

  @Test func aFailureIsShownAsAMessageAboutTheSnapshot() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      coordinator.nodes[0].failVolumes(with: StorageError(.unsupported, "This pool takes no snapshots."))
      let created = try await coordinator.send(
        .post, "/v3/demo/snapshots", #"{"snapshot": {"volume_id": "\#(volume)"}}"#)
      let id = try #require(created["snapshot"]["id"].string.flatMap { SnapshotID($0) })
      try await coordinator.until("it failed") { $0.snapshots[id]?.state == .error }
      #expect(try await coordinator.get("/v3/demo/snapshots/\(id)")["snapshot"]["status"] == .string("error"))
      let messages = try await coordinator.get("/v3/demo/messages?resource_uuid=\(id)", version: "3.5")["messages"]
      #expect(messages[0]["resource_type"] == .string("VOLUME_SNAPSHOT"))
      #expect(messages[0]["event_id"] == .string("VOLUME_VOLUME_SNAPSHOT_009_001"))
      #expect(messages[0]["user_message"] == .string("This pool takes no snapshots."))
      let ofVolumes = try await coordinator.get("/v3/demo/messages?resource_type=VOLUME", version: "3.5")
      #expect(ofVolumes["messages"].array.isEmpty)
      let explained = try await coordinator.get("/pumice/v1/snapshots/\(id)/explain")
      #expect(explained["snapshot"]["failure"] == .string("This pool takes no snapshots."))
      #expect(explained["snapshot"]["volume"] == .string("\(volume)"))
      #expect(explained["placement"]["pool"] == .string("n1@ssd#ssd"))
      #expect(explained["messages"].array.count == 1)
    }
  }

  // MARK: Volumes from snapshots and volumes

  @Test func volumesAreMadeFromSnapshotsAndVolumes() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume(size: 2)
      let snapshot = try await coordinator.snapshot(of: volume)
      for (field, id, size, expected) in [
        ("snapshot_id", "\(snapshot)", "null", 2), ("snapshot_id", "\(snapshot)", "3", 3),
        ("source_volid", "\(volume)", "null", 2), ("source_volid", "\(volume)", "2", 2),
      ] {
        let created = try await coordinator.send(
          .post, "/v3/demo/volumes", #"{"volume": {"\#(field)": "\#(id)", "size": \#(size)}}"#, version: "3.65")
        #expect(created.status == 202, "\(created.text)")
        #expect(created["volume"]["size"] == .integer(expected))
        let copy = try #require(created["volume"]["id"].string.flatMap { VolumeID($0) })
        try await coordinator.until("it is made") { $0.volumes[copy]?.state == .available }
        let shown = try await coordinator.get("/v3/demo/volumes/\(copy)")["volume"]
        #expect(shown["snapshot_id"] == (field == "snapshot_id" ? .string(id) : .null))
        #expect(shown["source_volid"] == (field == "source_volid" ? .string(id) : .null))
        #expect(shown["os-vol-host-attr:host"] == .string("n1@ssd#ssd"))
      }
      let fromSnapshot = try await coordinator.get("/v3/demo/volumes?snapshot_id=\(snapshot)")
      #expect(fromSnapshot["volumes"].array.count == 2)
      let fromVolume = try await coordinator.get("/v3/demo/volumes?source_volid=\(volume)")
      #expect(fromVolume["volumes"].array.count == 2)
    }
  }

  @Test func aVolumeWithSnapshotsGoesOnlyWithCascade() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let snapshot = try await coordinator.snapshot(of: volume)
      let path = "/v3/demo/volumes/\(volume)"
      for query in ["", "?cascade=false"] {
        let refused = try await coordinator.send(.delete, path + query)
        #expect(refused.status == 400)
        #expect(refused.message.contains("1 snapshot"))
        #expect(refused.headers[.errorCode] == "inUse")
      }
      #expect(try await coordinator.send(.delete, path + "?cascade=True").status == 202)
      #expect(coordinator.tables.snapshots[snapshot].map { $0.state == .deleting || $0.state == .deleted } == true)
      try await coordinator.until("both are gone") { $0.volumes[volume]?.state == .deleted }
      #expect(try await coordinator.get("/v3/demo/snapshots/\(snapshot)").status == 404)
      #expect(coordinator.nodes[0].snapshots.isEmpty)
    }
  }

  // MARK: Reverting

  @Test func aVolumeIsRevertedSince340() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let snapshot = try await coordinator.snapshot(of: volume)
      let path = "/v3/demo/volumes/\(volume)/action"
      let body = #"{"revert": {"snapshot_id": "\#(snapshot)"}}"#
      #expect(try await coordinator.send(.post, path, body, version: "3.39").status == 404)
      coordinator.nodes[0].setSlices(copy: 2)
      #expect(try await coordinator.send(.post, path, body, version: "3.40").status == 202)
      #expect(try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]["status"] == .string("reverting"))
      try await coordinator.until("it is reverted") { $0.volumes[volume]?.state == .available }
      #expect(coordinator.nodes[0].calls.contains("revert volume \(volume) to \(snapshot)"))
    }
  }

  @Test func theWrongSnapshotIsABadRequestAndTheWrongTimeAConflict() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let older = try await coordinator.snapshot(of: volume)
      let latest = try await coordinator.snapshot(of: volume)
      let path = "/v3/demo/volumes/\(volume)/action"
      func revert(to id: some CustomStringConvertible) async throws -> Answer {
        try await coordinator.send(.post, path, #"{"revert": {"snapshot_id": "\#(id)"}}"#, version: "3.40")
      }
      let stale = try await revert(to: older)
      #expect(stale.status == 400)
      #expect(stale.message.contains("latest") && stale.message.contains("\(latest)"))
      #expect(try await revert(to: SnapshotID.random()).status == 404)
      coordinator.nodes[0].setSlices(copy: 1_000_000)
      #expect(try await revert(to: latest).status == 202)
      let again = try await revert(to: latest)
      #expect(again.status == 409)
      #expect(again.error?.key == "conflictingRequest")
      #expect(again.message.contains("reverting"))
      #expect(try await coordinator.send(.delete, "/v3/demo/snapshots/\(latest)").status == 400)
    }
  }
}
