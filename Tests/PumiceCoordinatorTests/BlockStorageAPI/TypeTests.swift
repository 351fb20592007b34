import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct TypeTests {
  @Test func theDefaultTypeIsThereFromTheStartAndStays() async throws {
    try await withCoordinator { (coordinator) async throws in
      let listed = try await coordinator.get("/v3/demo/types")
      #expect(listed["volume_types"].array.count == 1)
      let type = try await coordinator.get("/v3/demo/types/default")["volume_type"]
      #expect(type["name"] == .string("__DEFAULT__"))
      #expect(type["is_public"] == .bool(true))
      let id = try #require(type["id"].string)
      #expect(try await coordinator.send(.delete, "/v3/demo/types/\(id)").status == 400)
      #expect(
        try await coordinator.send(.put, "/v3/demo/types/\(id)", #"{"volume_type": {"name": "x"}}"#).status == 400)
      #expect(coordinator.tables.types.count == 1)
    }
  }

  @Test func aTypeIsMadeChangedUsedAndDeleted() async throws {
    try await withCoordinator { (coordinator) async throws in
      let created = try await coordinator.send(
        .post, "/v3/demo/types",
        #"{"volume_type": {"name": "fast", "description": "on flash", "os-volume-type-access:is_public": true, "extra_specs": {"media": "ssd"}}}"#
      )
      #expect(created.status == 200)
      let id = try #require(created["volume_type"]["id"].string)
      #expect(created["volume_type"]["extra_specs"] == .object(["media": .string("ssd")]))
      let twice = try await coordinator.send(.post, "/v3/demo/types", #"{"volume_type": {"name": "fast"}}"#)
      #expect(twice.status == 409)
      #expect(twice.error?.key == "conflictingRequest")
      let renamed = try await coordinator.send(.put, "/v3/demo/types/\(id)", #"{"volume_type": {"name": "quick"}}"#)
      #expect(renamed["volume_type"]["name"] == .string("quick"))

      let volume = try await coordinator.volume(more: #", "volume_type": "quick""#)
      #expect(try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]["volume_type"] == .string("quick"))
      // What is shown of a volume follows the name of its type.
      _ = try await coordinator.send(.put, "/v3/demo/types/\(id)", #"{"volume_type": {"name": "swift"}}"#)
      #expect(try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]["volume_type"] == .string("swift"))
      #expect(try await coordinator.send(.delete, "/v3/demo/types/\(id)").status == 400)
      _ = try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)")
      try await coordinator.until("the volume is gone") { $0.volumes[volume]?.state == .deleted }
      #expect(try await coordinator.send(.delete, "/v3/demo/types/\(id)").status == 202)
      #expect(try await coordinator.get("/v3/demo/types/\(id)").status == 404)
    }
  }

  @Test func extraSpecsDecideWhereAVolumeGoes() async throws {
    try await withCoordinator { (coordinator) async throws in
      let created = try await coordinator.send(.post, "/v3/demo/types", #"{"volume_type": {"name": "tape"}}"#)
      let path = "/v3/demo/types/\(try #require(created["volume_type"]["id"].string))/extra_specs"
      let set = try await coordinator.send(.post, path, #"{"extra_specs": {"media": "tape", "a:b": "c"}}"#)
      #expect(set.status == 200)
      #expect(try await coordinator.get(path)["extra_specs"]["media"] == .string("tape"))
      let volume = try await coordinator.send(
        .post, "/v3/demo/volumes", #"{"volume": {"size": 1, "volume_type": "tape"}}"#)
      #expect(volume["volume"]["status"] == .string("error"))
      #expect(try await coordinator.send(.put, "\(path)/media", #"{"media": "ssd"}"#)["media"] == .string("ssd"))
      #expect(try await coordinator.get("\(path)/media")["media"] == .string("ssd"))
      try await coordinator.volume(more: #", "volume_type": "tape""#)
      #expect(try await coordinator.send(.delete, "\(path)/media").status == 202)
      #expect(try await coordinator.send(.delete, "\(path)/media").status == 404)
      #expect(try await coordinator.get("\(path)/media").status == 404)
      #expect(try await coordinator.get("\(path)/a%3Ab")["a:b"] == .string("c"))
    }
  }

  @Test func privateTypesAreForAdmins() async throws {
    try await withCoordinator(tokens: AuthorizationTests.tokens) { (coordinator) async throws in
      let created = try await coordinator.send(
        .post, "/v3/types", #"{"volume_type": {"name": "secret", "is_public": false, "extra_specs": {"a": "b"}}}"#,
        token: "token-of-the-admin")
      let id = try #require(created["volume_type"]["id"].string)
      #expect(try await coordinator.get("/v3/types", token: "token-of-the-member")["volume_types"].array.count == 1)
      #expect(try await coordinator.get("/v3/types/\(id)", token: "token-of-the-member").status == 404)
      let order = try await coordinator.send(
        .post, "/v3/volumes", #"{"volume": {"size": 1, "volume_type": "secret"}}"#, token: "token-of-the-member")
      #expect(order.status == 404)
      #expect(
        try await coordinator.get("/v3/types?is_public=None", token: "token-of-the-admin")["volume_types"].array.count
          == 2)
      #expect(
        try await coordinator.get("/v3/types?is_public=false", token: "token-of-the-admin")["volume_types"].array.count
          == 1)
      // Extra specs are the operator's.
      _ = try await coordinator.send(
        .put, "/v3/types/\(id)", #"{"volume_type": {"is_public": true}}"#, token: "token-of-the-admin")
      let seen = try await coordinator.get("/v3/types/\(id)", token: "token-of-the-member")["volume_type"]
      #expect(seen["extra_specs"] == .object([:]))
    }
  }

  @Test func aPrivateTypeIsOpenToTheProjectsThatAreNamed() async throws {
    try await withCoordinator(tokens: AuthorizationTests.tokens) { (coordinator) async throws in
      let (admin, member) = ("token-of-the-admin", "token-of-the-member")
      let created = try await coordinator.send(
        .post, "/v3/types", #"{"volume_type": {"name": "secret", "is_public": false}}"#, token: admin)
      let id = try #require(created["volume_type"]["id"].string)
      func set(_ action: String, _ project: String, token: String = admin) async throws -> Int {
        try await coordinator.send(
          .post, "/v3/types/\(id)/action", #"{"\#(action)": {"project": "\#(project)"}}"#, token: token
        ).status
      }
      #expect(try await set("addProjectAccess", "demo", token: member) == 403)
      #expect(try await set("addProjectAccess", "nowhere") == 404)
      #expect(try await set("addProjectAccess", "demo") == 202)
      #expect(try await set("addProjectAccess", "demo") == 409)
      #expect(try await set("takeAway", "demo") == 400)
      let list = try await coordinator.get("/v3/types/\(id)/os-volume-type-access", token: admin)
      #expect(list["volume_type_access"].array.map { $0["project_id"].string } == ["demo"])
      #expect(try await coordinator.get("/v3/types/\(id)", token: member).status == 200)
      #expect(try await coordinator.get("/v3/types", token: member)["volume_types"].array.count == 2)
      #expect(try await coordinator.get("/v3/types/\(id)", token: "token-of-the-stranger").status == 404)
      let order = #"{"volume": {"size": 1, "volume_type": "secret"}}"#
      #expect(try await coordinator.send(.post, "/v3/volumes", order, token: member).status == 202)
      #expect(try await coordinator.send(.post, "/v3/volumes", order, token: "token-of-the-stranger").status == 404)

      #expect(try await set("removeProjectAccess", "demo") == 202)
      #expect(try await set("removeProjectAccess", "demo") == 404)
      #expect(try await coordinator.get("/v3/types/\(id)", token: member).status == 404)
      #expect(try await coordinator.get("/v3/volumes", token: member)["volumes"].array.count == 1, "Volumes stay.")

      let everybodys = try #require(
        try await coordinator.get("/v3/types/default", token: admin)["volume_type"]["id"].string)
      let path = "/v3/types/\(everybodys)"
      #expect(try await coordinator.get("\(path)/os-volume-type-access", token: admin).status == 404)
      let needless = try await coordinator.send(
        .post, "\(path)/action", #"{"addProjectAccess": {"project": "demo"}}"#, token: admin)
      #expect(needless.status == 400)
    }
  }
}
