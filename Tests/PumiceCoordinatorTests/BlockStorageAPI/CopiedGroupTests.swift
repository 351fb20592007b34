import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Groups that are made from others or from group snapshots.
@Suite struct CopiedGroupTests {
  private let version = "3.70"

  private func make(_ body: String, by coordinator: CoordinatorFixture) async throws -> Answer {
    try await coordinator.send(
      .post, "/v3/demo/groups/action", #"{"create-from-src": {\#(body)}}"#, version: version)
  }

  private func shown(_ id: String, by coordinator: CoordinatorFixture) async throws -> JSONValue {
    try await coordinator.get("/v3/demo/groups/\(id)?list_volume=true", version: version)["group"]
  }

  @Test func aGroupIsMadeFromAGroupSnapshot() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      let source = try await coordinator.group()
      for _ in 0..<2 { try await coordinator.volumeInside(source) }
      let moment = try await coordinator.snapshot(ofGroup: source)["group_snapshot"]["id"]
      let momentID = try #require(moment.string)
      try await coordinator.until("all are taken") { tables in
        tables.snapshots.values.count { $0.state == .available } == 2
      }
      node.setSlices(copy: 3)
      let made = try await make(
        #""group_snapshot_id": "\#(momentID)", "name": "again", "description": "d""#, by: coordinator)
      #expect(made.status == 202 && made["group"]["name"] == .string("again"), "\(made.text)")
      let id = try #require(made["group"]["id"].string)
      #expect(try await shown(id, by: coordinator)["status"] == .string("creating"))
      let early = try await coordinator.send(.delete, "/v3/demo/group_snapshots/\(momentID)", version: version)
      #expect(early.status == 400 && early.message.contains("being made from it"), "\(early.text)")
      try await coordinator.until("its volumes are there") { tables in
        tables.volumes.values.count { $0.group?.description == id && $0.state == .available } == 2
      }
      let group = try await shown(id, by: coordinator)
      #expect(group["status"] == .string("available") && group["volumes"].array.count == 2)
      #expect(group["group_snapshot_id"] == moment && group["source_group_id"] == .null)
      #expect(group["description"] == .string("d"))
      let volumes = coordinator.tables.volumes.values.filter { $0.group?.description == id }
      #expect(Set(volumes.compactMap { $0.source?.snapshot }) == Set(coordinator.tables.snapshots.keys))
      #expect(
        try await coordinator.send(.delete, "/v3/demo/group_snapshots/\(momentID)", version: version).status == 202)
    }
  }

  @Test func aGroupIsMadeFromAnother() async throws {
    try await withCoordinator { (coordinator) async throws in
      let source = try await coordinator.group()
      let members = [try await coordinator.volumeInside(source), try await coordinator.volumeInside(source)]
      // As SDKs write it.
      let made = try await make(
        #""group_snapshot_id": null, "source_group_id": "\#(source)", "name": null, "description": null"#,
        by: coordinator)
      #expect(made.status == 202, "\(made.text)")
      let id = try #require(made["group"]["id"].string)
      try await coordinator.until("its volumes are there") { tables in
        tables.volumes.values.count { $0.group?.description == id && $0.state == .available } == 2
      }
      let group = try await shown(id, by: coordinator)
      #expect(group["source_group_id"] == .string(source) && group["group_snapshot_id"] == .null)
      let volumes = coordinator.tables.volumes.values.filter { $0.group?.description == id }
      #expect(Set(volumes.compactMap(\.source)) == Set(members.map { .volume($0) }))
      let old = try await coordinator.get("/v3/demo/groups/\(source)", version: version)["group"]
      #expect(old["group_type"] == group["group_type"] && old["volume_types"] == group["volume_types"])
      #expect(try await coordinator.get("/v3/demo/groups/\(id)", version: "3.13")["group"]["source_group_id"] == .null)
      let action = #"{"delete": {"delete-volumes": true}}"#
      #expect(try await coordinator.send(.post, "/v3/demo/groups/\(id)/action", action, version: version).status == 202)
      try await coordinator.until("they are gone") { tables in
        tables.volumes.values.count { $0.state == .deleted } == 2
      }
      #expect(members.allSatisfy { coordinator.tables.volumes[$0]?.state == .available })
    }
  }

  @Test func whatCanNotBeCopiedIsRefusedAndLeavesNothing() async throws {
    try await withCoordinator { (coordinator) async throws in
      let source = try await coordinator.group(
        #"{"\#(GroupType.consistency)": "<is> True"}"#, type: "consistent")
      let empty = try await make(#""source_group_id": "\#(source)""#, by: coordinator)
      #expect(empty.status == 400 && empty.message.contains("no volumes"), "\(empty.text)")
      let members = [try await coordinator.volumeInside(source), try await coordinator.volumeInside(source)]
      let unknown = GroupID.random()
      let attempts: [(String, Int)] = [
        (#""source_group_id": "\#(unknown)""#, 404), (#""group_snapshot_id": "\#(unknown)""#, 404),
        (#""source_group_id": "\#(source)", "group_snapshot_id": "\#(unknown)""#, 400), (#""name": "n""#, 400),
        (#""source_group_id": "x""#, 400), (#""source_group_id": "\#(source)", "group_type": "x""#, 400),
      ]
      for (body, status) in attempts {
        let answer = try await make(body, by: coordinator)
        #expect(answer.status == status, "\(body): \(answer.text)")
      }
      func quota(_ limits: String) async throws {
        _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", "{\"quota_set\": {\(limits)}}")
      }
      try await quota(#""volumes": 3"#)
      #expect(try await make(#""source_group_id": "\#(source)""#, by: coordinator).status == 413)
      try await quota(#""volumes": 10, "groups": 1"#)
      #expect(try await make(#""source_group_id": "\#(source)""#, by: coordinator).status == 413)
      try await quota(#""groups": 10"#)
      _ = try await coordinator.send(.post, "/v3/demo/volumes/\(members[0])/action", #"{"os-reserve": {}}"#)
      let held = try await make(#""source_group_id": "\#(source)""#, by: coordinator)
      #expect(held.status == 400 && held.message.contains("one moment"), "\(held.text)")
      #expect(coordinator.tables.groups.count == 1 && coordinator.tables.volumes.count == 2)
      let other = try await coordinator.send(
        .post, "/v3/demo/groups/action", #"{"create-from-src": {"source_group_id": "\#(source)"}}"#, version: "3.13")
      #expect(other.status == 404)
    }
  }

  @Test func groupsAreSortedFilteredAndPaged() async throws {
    try await withCoordinator { (coordinator) async throws in
      _ = try await coordinator.group()
      let type = try #require(coordinator.tables.groupTypes.keys.first)
      for name in ["b", "c", "a"] {
        let made = try await coordinator.send(
          .post, "/v3/demo/groups",
          #"{"group": {"name": "\#(name)", "group_type": "\#(type)", "volume_types": ["__DEFAULT__"]}}"#,
          version: version)
        try #require(made.status == 202, "\(made.text)")
      }
      func names(_ query: String, _ collection: String = "groups") async throws -> [String?] {
        let answer = try await coordinator.get("/v3/demo/\(collection)?\(query)", version: version)
        #expect(answer.status == 200, "\(query): \(answer.text)")
        return answer[collection].array.map { $0["name"].string }
      }
      #expect(try await names("") == ["a", "c", "b", nil])
      #expect(try await names("sort=name:asc") == [nil, "a", "b", "c"])
      #expect(try await names("sort_key=name&sort_dir=desc") == ["c", "b", "a", nil])
      #expect(try await names("name=b") == ["b"])
      #expect(try await names("name~=c&status=available") == ["c"])
      #expect(try await names("status=error") == [])
      #expect(try await names("group_type=\(type)&list_volume=true").count == 4)
      let first = try await coordinator.get(
        "/v3/demo/groups/detail?limit=2&sort=name:asc&with_count=true", version: version)
      #expect(first["count"] == .integer(4))
      let next = try #require(first["group_links"][0]["href"].string)
      let path = String(next.dropFirst("http://".count).drop { $0 != "/" })
      let second = try await coordinator.get(path, version: version)
      #expect(second["groups"].array.map { $0["name"].string } == ["b", "c"] && second["group_links"] == .null)
      for query in ["sort=color", "color=red", "marker=x", "limit=-1", "list_volume=maybe"] {
        let answer = try await coordinator.get("/v3/demo/groups?\(query)", version: version)
        #expect([400, 404].contains(answer.status), "\(query): \(answer.text)")
      }

      let filters = try await coordinator.get("/v3/demo/resource_filters?resource=group", version: version)
      #expect(filters["resource_filters"].array.map { $0["resource"].string } == ["group"])
      #expect(filters["resource_filters"][0]["filters"].array.contains(.string("status")))

      let group = try await coordinator.group(type: "other")
      try await coordinator.volumeInside(group)
      for _ in 0..<2 { _ = try await coordinator.snapshot(ofGroup: group) }
      try await coordinator.until("all are taken") { $0.snapshots.values.allSatisfy { $0.state == .available } }
      #expect(try await names("group_id=\(group)&status=available&name=s", "group_snapshots").count == 2)
      #expect(try await names("group_id=\(GroupID.random())", "group_snapshots") == [])
      #expect(try await names("sort=created_at:asc&limit=1", "group_snapshots") == ["s"])
      let page = try await coordinator.get("/v3/demo/group_snapshots?limit=1", version: version)
      #expect(page["group_snapshots_links"][0]["rel"] == .string("next"))
    }
  }
}
