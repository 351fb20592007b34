import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct GroupTests {
  private let version = "3.70"

  @Test func groupTypesAreMadeShownChangedAndDeleted() async throws {
    try await withCoordinator { (coordinator) async throws in
      let made = try await coordinator.send(
        .post, "/v3/demo/group_types",
        #"{"group_type": {"name": "g", "description": "d", "group_specs": {"a": "b"}}}"#, version: version)
      #expect(made.status == 202)
      let id = try #require(made["group_type"]["id"].string)
      let path = "/v3/demo/group_types/\(id)"
      #expect(try await coordinator.get(path, version: version)["group_type"]["group_specs"]["a"] == .string("b"))
      #expect(try await coordinator.get("/v3/demo/group_types", version: version)["group_types"].array.count == 1)
      #expect(try await coordinator.get("/v3/demo/group_types/default", version: version).status == 404)
      let again = try await coordinator.send(
        .post, "/v3/demo/group_types", #"{"group_type": {"name": "g"}}"#, version: version)
      #expect(again.status == 409)
      let changed = try await coordinator.send(
        .put, path, #"{"group_type": {"name": "h", "is_public": false}}"#, version: version)
      #expect(changed["group_type"]["name"] == .string("h") && changed["group_type"]["is_public"] == .bool(false))
      let specs = "\(path)/group_specs"
      #expect(
        try await coordinator.send(.post, specs, #"{"group_specs": {"c": "d"}}"#, version: version).status == 202)
      #expect(try await coordinator.send(.put, "\(specs)/a", #"{"a": "x"}"#, version: version).status == 200)
      #expect(try await coordinator.send(.put, "\(specs)/a", #"{"b": "x"}"#, version: version).status == 400)
      #expect(
        try await coordinator.get(specs, version: version)["group_specs"]
          == .object(["a": .string("x"), "c": .string("d")]))
      #expect(try await coordinator.get("\(specs)/c", version: version)["c"] == .string("d"))
      #expect(try await coordinator.send(.delete, "\(specs)/c", version: version).status == 202)
      #expect(try await coordinator.get("\(specs)/c", version: version).status == 404)
      #expect(try await coordinator.send(.delete, path, version: version).status == 202)
      #expect(try await coordinator.get(path, version: version).status == 404)
      #expect(try await coordinator.get("/v3/demo/group_types", version: "3.10").status == 404)
    }
  }

  @Test func volumesComeIntoAGroupAndLeaveIt() async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("other")
      let group = try await coordinator.group()
      let path = "/v3/demo/groups/\(group)"
      let inside = try await coordinator.volumeInside(group)
      let outside = try await coordinator.volume("outside")
      let shown = try await coordinator.get("/v3/demo/volumes/\(inside)", version: version)["volume"]
      #expect(shown["group_id"] == .string(group))
      let refused = try await coordinator.send(
        .post, "/v3/demo/volumes", #"{"volume": {"size": 1, "volume_type": "\#(type)", "group_id": "\#(group)"}}"#,
        version: version)
      #expect(refused.status == 400 && refused.message.contains("none of the types"))
      let changed = try await coordinator.send(
        .put, path, #"{"group": {"name": "set", "add_volumes": "\#(outside)", "remove_volumes": "\#(inside)"}}"#,
        version: version)
      #expect(changed.status == 202)
      let listed = try await coordinator.get("\(path)?list_volume=true", version: version)["group"]
      #expect(listed["volumes"] == .array([.string("\(outside)")]) && listed["name"] == .string("set"))
      #expect(listed["status"] == .string("available"))
      let found = try await coordinator.get("/v3/demo/volumes?group_id=\(group)", version: version)["volumes"]
      #expect(found.array.map { $0["id"].string } == ["\(outside)"])
      for change in [
        #""add_volumes": "\#(outside)""#, #""remove_volumes": "\#(inside)""#, #""add_volumes": "nothing""#,
        #""add_volumes": "\#(VolumeID.random())""#,
        #""add_volumes": "\#(inside)", "remove_volumes": "\#(inside)""#,
        #""name": null"#, #""add_volumes": """#,
      ] {
        let answer = try await coordinator.send(.put, path, "{\"group\": {\(change)}}", version: version)
        #expect(answer.status == 400, "\(change): \(answer.text)")
      }
      #expect(coordinator.tables.volumes[outside]?.group?.description == group)

      let alone = try await coordinator.send(.delete, "/v3/demo/volumes/\(outside)")
      #expect(alone.status == 400 && alone.message.contains("Group set"))
      let offer = try await coordinator.send(
        .post, "/v3/demo/os-volume-transfer", #"{"transfer": {"volume_id": "\#(outside)"}}"#)
      #expect(offer.status == 400)
      let type1 = try #require(coordinator.tables.groupTypes.keys.first)
      #expect(try await coordinator.send(.delete, "/v3/demo/group_types/\(type1)", version: version).status == 400)
      func delete(_ withVolumes: Bool) async throws -> Int {
        try await coordinator.send(
          .post, "\(path)/action", #"{"delete": {"delete-volumes": \#(withVolumes)}}"#, version: version
        ).status
      }
      #expect(try await delete(false) == 400)
      #expect(try await delete(true) == 202)
      #expect(try await coordinator.get(path, version: version).status == 404)
      try await coordinator.until("its volume is gone") { $0.volumes[outside]?.state == .deleted }
      #expect(coordinator.tables.volumes[inside]?.state == .available)
    }
  }

  @Test func aGroupIsOfTypesThatThereAre() async throws {
    try await withCoordinator { (coordinator) async throws in
      _ = try await coordinator.group()
      let attempts: [(String, Int)] = [
        (#"{"group": {"group_type": "none", "volume_types": ["__DEFAULT__"]}}"#, 404),
        (#"{"group": {"group_type": "plain", "volume_types": ["none"]}}"#, 404),
        (#"{"group": {"group_type": "plain", "volume_types": []}}"#, 400),
        (#"{"group": {"group_type": "plain"}}"#, 400), (#"{"group": {"volume_types": ["__DEFAULT__"]}}"#, 400),
        (#"{"group": {"group_type": "plain", "volume_types": ["__DEFAULT__"], "availability_zone": "x"}}"#, 400),
        (#"{"group": {"group_type": "plain", "volume_types": ["__DEFAULT__"], "color": "red"}}"#, 400),
      ]
      for (body, status) in attempts {
        #expect(
          try await coordinator.send(.post, "/v3/demo/groups", body, version: version).status == status, "\(body)")
      }
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"groups": 1}}"#)
      let body = #"{"group": {"group_type": "plain", "volume_types": ["__DEFAULT__"]}}"#
      #expect(try await coordinator.send(.post, "/v3/demo/groups", body, version: version).status == 413)
      #expect(coordinator.tables.groups.count == 1)
      let used = try await coordinator.get("/v3/demo/os-quota-sets/demo?usage=True")["quota_set"]["groups"]
      #expect(used["in_use"] == .integer(1))
    }
  }

  @Test func aGroupSnapshotIsOneOfEveryVolume() async throws {
    try await withCoordinator { (coordinator) async throws in
      let group = try await coordinator.group()
      let empty = try await coordinator.snapshot(ofGroup: group)
      #expect(empty.status == 400 && empty.message.contains("no volumes"))
      let volumes = [try await coordinator.volumeInside(group), try await coordinator.volumeInside(group)]
      let taken = try await coordinator.snapshot(ofGroup: group)
      #expect(taken.status == 202)
      let id = try #require(taken["group_snapshot"]["id"].string)
      let path = "/v3/demo/group_snapshots/\(id)"
      try await coordinator.until("all are taken") { tables in
        tables.snapshots.values.count { $0.state == .available } == 2
      }
      #expect(try await coordinator.get(path, version: version)["group_snapshot"]["status"] == .string("available"))
      let members = coordinator.tables.snapshots.values
      #expect(Set(members.map(\.volume)) == Set(volumes))
      let member = try #require(members.first)
      let shown = try await coordinator.get("/v3/demo/snapshots/\(member.id)", version: version)["snapshot"]
      #expect(shown["group_snapshot_id"] == .string(id))
      #expect(try await coordinator.send(.delete, "/v3/demo/snapshots/\(member.id)").status == 400)
      let action = #"{"delete": {"delete-volumes": true}}"#
      #expect(
        try await coordinator.send(.post, "/v3/demo/groups/\(group)/action", action, version: version).status == 400)
      #expect(coordinator.tables.groups.count == 1 && coordinator.tables.volumes[volumes[0]]?.group != nil)
      _ = try await coordinator.send(
        .put, "/v3/demo/groups/\(group)", #"{"group": {"remove_volumes": "\#(volumes[0])"}}"#, version: version)
      let cascade = try await coordinator.send(.delete, "/v3/demo/volumes/\(volumes[0])?cascade=true")
      #expect(cascade.status == 400 && cascade.message.contains("part of"))

      #expect(try await coordinator.send(.delete, path, version: version).status == 202)
      try await coordinator.until("they are gone") { $0.snapshots.values.allSatisfy { $0.state == .deleted } }
      #expect(try await coordinator.get(path, version: version).status == 404)
      #expect(coordinator.nodes[0].snapshots.isEmpty)
    }
  }

  @Test func aQuotaThatIsTooSmallForAllTakesNone() async throws {
    try await withCoordinator { (coordinator) async throws in
      let group = try await coordinator.group()
      for _ in 0..<2 { try await coordinator.volumeInside(group) }
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"snapshots": 1}}"#)
      #expect(try await coordinator.snapshot(ofGroup: group).status == 413)
      #expect(coordinator.tables.snapshots.isEmpty && coordinator.tables.groupSnapshots.isEmpty)
    }
  }
}

extension CoordinatorFixture {
  /// A group whose volumes are of the default type, and whose type has these specs.
  func group(_ specs: String = "{}", type: String = "plain") async throws -> String {
    _ = try await send(
      .post, "/v3/demo/group_types", #"{"group_type": {"name": "\#(type)", "group_specs": \#(specs)}}"#,
      version: "3.70")
    let answer = try await send(
      .post, "/v3/demo/groups", #"{"group": {"group_type": "\#(type)", "volume_types": ["__DEFAULT__"]}}"#,
      version: "3.70")
    return try #require(answer["group"]["id"].string, "\(answer.text)")
  }

  @discardableResult
  func volumeInside(_ group: String) async throws -> VolumeID {
    let id = try await volume()
    let answer = try await send(
      .put, "/v3/demo/groups/\(group)", #"{"group": {"add_volumes": "\#(id)"}}"#, version: "3.70")
    try #require(answer.status == 202, "\(answer.text)")
    return id
  }

  func snapshot(ofGroup group: String) async throws -> Answer {
    try await send(
      .post, "/v3/demo/group_snapshots", #"{"group_snapshot": {"group_id": "\#(group)", "name": "s"}}"#,
      version: "3.70")
  }
}
