import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct DefaultTypeTests {
  private let version = "3.62"

  @Test func aProjectHasADefaultTypeOfItsOwn() async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("fast")
      let path = "/v3/default-types/demo"
      #expect(try await coordinator.get(path, version: version).status == 404)
      let set = try await coordinator.send(
        .put, path, #"{"default_type": {"volume_type": "fast"}}"#, version: version)
      let shown: JSONValue = .object(["project_id": .string("demo"), "volume_type_id": .string(type)])
      #expect(set["default_type"] == shown)
      #expect(try await coordinator.get(path, version: version)["default_type"] == shown)
      #expect(try await coordinator.get("/v3/default-types", version: version)["default_types"] == .array([shown]))
      #expect(try await coordinator.get("/v3/demo/types/default")["volume_type"]["name"] == .string("fast"))
      #expect(try await coordinator.get("/v3/other/types/default")["volume_type"]["name"] == .string("__DEFAULT__"))
      let volume = try await coordinator.volume()
      #expect(coordinator.tables.volumes[volume]?.type.description == type)
      let others = try await coordinator.volume("else", project: "other")
      #expect(coordinator.tables.volumes[others]?.type.description != type)
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)").status == 202)
      try await coordinator.until("it is gone") { $0.volumes[volume]?.state == .deleted }
      #expect(try await coordinator.send(.delete, "/v3/demo/types/\(type)").status == 400)
      #expect(try await coordinator.send(.delete, path, version: version).status == 204)
      #expect(try await coordinator.send(.delete, path, version: version).status == 204)
      #expect(try await coordinator.send(.delete, "/v3/demo/types/\(type)").status == 202)
    }
  }

  @Test func itMustBeOneThatTheProjectMayUse() async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("secret", more: #", "is_public": false"#)
      let path = "/v3/default-types/demo"
      for name in ["secret", type, "nothing"] {
        let answer = try await coordinator.send(
          .put, path, #"{"default_type": {"volume_type": "\#(name)"}}"#, version: version)
        #expect(answer.status == 400, "\(name)")
      }
      #expect(coordinator.tables.defaultTypes.isEmpty)
      let access = "/v3/demo/types/\(type)/action"
      _ = try await coordinator.send(.post, access, #"{"addProjectAccess": {"project": "demo"}}"#)
      #expect(
        try await coordinator.send(.put, path, #"{"default_type": {"volume_type": "\#(type)"}}"#, version: version)
          .status == 200)
      _ = try await coordinator.send(.post, access, #"{"removeProjectAccess": {"project": "demo"}}"#)
      let volume = try await coordinator.volume()
      #expect(coordinator.tables.volumes[volume]?.type.description != type, "It may not use that any more.")
      #expect(try await coordinator.get(path, version: "3.61").status == 404)
    }
  }
}
