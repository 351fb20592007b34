import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct TypeEncryptionTests {
  @Test func aTypeSaysHowItsVolumesAreToBeEncrypted() async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("vault")
      let path = "/v3/demo/types/\(type)/encryption"
      #expect(try await coordinator.get(path).json == .object([:]))
      let body = #"{"encryption": {"provider": "luks", "control_location": "front-end", "key_size": 256}}"#
      let made = try await coordinator.send(.post, path, body)
      #expect(made.status == 200)
      let id = try #require(made["encryption"]["encryption_id"].string)
      #expect(made["encryption"]["volume_type_id"] == .string(type))
      #expect(try await coordinator.send(.post, path, body).status == 400)
      #expect(try await coordinator.get(path)["provider"] == .string("luks"))
      #expect(try await coordinator.get(path)["cipher"] == .null)
      #expect(try await coordinator.get("\(path)/key_size").json == .object(["key_size": .integer(256)]))
      #expect(try await coordinator.get("\(path)/shoe_size").status == 404)

      let changed = try await coordinator.send(
        .put, "\(path)/\(id)", #"{"encryption": {"cipher": "aes-xts-plain64", "key_size": "512"}}"#)
      #expect(changed.status == 200)
      #expect(try await coordinator.get(path)["key_size"] == .integer(512))
      #expect(try await coordinator.get(path)["provider"] == .string("luks"))
      #expect(
        try await coordinator.send(.put, "\(path)/\(id)", #"{"encryption": {"key_size": null}}"#).status == 200)
      #expect(try await coordinator.get(path)["key_size"] == .null)
      let unknown = VolumeEncryptionID.random()
      #expect(
        try await coordinator.send(.put, "\(path)/\(unknown)", #"{"encryption": {"provider": "x"}}"#).status == 404)
      #expect(try await coordinator.send(.delete, "\(path)/\(unknown)").status == 404)
      #expect(try await coordinator.send(.delete, "\(path)/\(id)").status == 202)
      #expect(try await coordinator.get(path).json == .object([:]))
    }
  }

  @Test func noVolumeIsMadeThatWouldHaveToBeEncrypted() async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("vault")
      let path = "/v3/demo/types/\(type)/encryption"
      let body = #"{"encryption": {"provider": "luks", "control_location": "front-end"}}"#
      try await coordinator.volume("plain", more: #", "volume_type": "vault""#)
      #expect(try await coordinator.send(.post, path, body).status == 400, "It has volumes, which are not encrypted.")
      let other = try await coordinator.type("safe")
      _ = try await coordinator.send(.post, "/v3/demo/types/\(other)/encryption", body)
      let refused = try await coordinator.send(
        .post, "/v3/demo/volumes", #"{"volume": {"size": 1, "volume_type": "safe"}}"#)
      #expect(refused.status == 400)
      #expect(refused.message.contains("encryption, which is not supported yet"))
      #expect(coordinator.tables.volumes.count == 1)
      let volume = try #require(coordinator.tables.volumes.keys.first)
      #expect(
        try await coordinator.get("/v3/demo/volumes/\(volume)/encryption").json
          == .object(["encryption_key_id": .null]))
    }
  }

  @Test(arguments: [
    (#"{"encryption": {"control_location": "front-end"}}"#, "provider"),
    (#"{"encryption": {"provider": "luks"}}"#, "control_location"),
    (#"{"encryption": {"provider": "luks", "control_location": "middle"}}"#, "control_location"),
    (#"{"encryption": {"provider": "luks", "control_location": "front-end", "key_size": -1}}"#, "key_size"),
    (#"{"encryption": {"provider": "luks", "control_location": "front-end", "key_size": "long"}}"#, "key_size"),
    (#"{"encryption": {"provider": "luks", "control_location": "front-end", "color": "red"}}"#, "color"),
  ])
  func whatMakesNoSenseIsRefusedByName(body: String, field: String) async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("vault")
      let answer = try await coordinator.send(.post, "/v3/demo/types/\(type)/encryption", body)
      #expect(answer.status == 400)
      #expect(answer.message.contains(field), "\(answer.text)")
      #expect(coordinator.tables.type(named: "vault")?.encryption == nil)
    }
  }
}
