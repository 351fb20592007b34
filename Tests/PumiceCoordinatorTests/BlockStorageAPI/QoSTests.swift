import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct QoSTests {
  @Test func aSpecIsMadeShownChangedAndDeleted() async throws {
    try await withCoordinator { (coordinator) async throws in
      let made = try await coordinator.send(
        .post, "/v3/demo/qos-specs",
        #"{"qos_specs": {"name": "fast", "consumer": "front-end", "total_iops_sec": "500", "size_iops_sec": 4096}}"#)
      #expect(made.status == 200)
      let id = try #require(made["qos_specs"]["id"].string)
      #expect(made["qos_specs"]["consumer"] == .string("front-end"))
      #expect(made["links"][0]["href"].string?.hasSuffix("/v3/demo/qos-specs/\(id)") == true)
      let path = "/v3/demo/qos-specs/\(id)"
      let rules: JSONValue = .object(["total_iops_sec": .string("500"), "size_iops_sec": .string("4096")])
      #expect(try await coordinator.get(path)["qos_specs"]["specs"] == rules)
      #expect(try await coordinator.get("/v3/demo/qos-specs")["qos_specs"][0]["id"] == .string(id))
      let again = try await coordinator.send(.post, "/v3/demo/qos-specs", #"{"qos_specs": {"name": "fast"}}"#)
      #expect(again.status == 409)

      let changed = try await coordinator.send(.put, path, #"{"qos_specs": {"total_iops_sec": "600"}}"#)
      #expect(changed["qos_specs"] == .object(["total_iops_sec": .string("600")]))
      let keys = try await coordinator.send(.put, "\(path)/delete_keys", #"{"keys": ["size_iops_sec"]}"#)
      #expect(keys.status == 202)
      let left: JSONValue = .object(["total_iops_sec": .string("600")])
      #expect(try await coordinator.get(path)["qos_specs"]["specs"] == left)
      let missing = try await coordinator.send(.put, "\(path)/delete_keys", #"{"keys": ["size_iops_sec"]}"#)
      #expect(missing.status == 404)

      #expect(try await coordinator.send(.delete, path).status == 202)
      #expect(try await coordinator.get(path).status == 404)
      #expect(coordinator.tables.qosSpecs.isEmpty)
    }
  }

  @Test(arguments: [
    (#"{"qos_specs": {}}"#, "name"), (#"{"qos_specs": {"name": ""}}"#, "name"),
    (#"{"qos_specs": {"name": "q", "consumer": "nobody"}}"#, "consumer"),
    (#"{"qos_specs": {"name": "q", "consumer": "front-end", "latency": "1"}}"#, "latency"),
    (#"{"qos_specs": {"name": "q", "consumer": "both", "latency": "1"}}"#, "latency"),
    (#"{"qos_specs": {"name": "q", "consumer": "front-end", "total_iops_sec": "fast"}}"#, "total_iops_sec"),
    (#"{"qos_specs": {"name": "q", "consumer": "front-end", "total_iops_sec_max": "5"}}"#, "total_iops_sec_max"),
    (#"{"qos_specs": {"name": "q", "total_iops_sec": true}}"#, "total_iops_sec"),
    (#"{"qos_specs": {"name": "q"}, "other": 1}"#, "other"),
  ])
  func whatMakesNoSenseIsRefusedByName(body: String, field: String) async throws {
    try await withCoordinator { (coordinator) async throws in
      let answer = try await coordinator.send(.post, "/v3/demo/qos-specs", body)
      #expect(answer.status == 400)
      #expect(answer.message.contains(field), "\(answer.text)")
      #expect(coordinator.tables.qosSpecs.isEmpty)
    }
  }

  @Test func aTypeHasOneSpecAtMostAndKeepsIt() async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("ssd")
      let spec = try await coordinator.qosSpec("a", #""consumer": "front-end", "total_iops_sec": "5""#)
      let other = try await coordinator.qosSpec("b", "")
      func ask(_ spec: String, _ what: String) async throws -> Int {
        try await coordinator.get("/v3/demo/qos-specs/\(spec)/\(what)").status
      }
      #expect(try await ask(spec, "associate") == 400)
      #expect(try await ask(spec, "associate?vol_type_id=nothing") == 404)
      #expect(try await ask(spec, "associate?vol_type_id=\(type)") == 202)
      #expect(try await ask(spec, "associate?vol_type_id=\(type)") == 202)
      #expect(try await ask(other, "associate?vol_type_id=\(type)") == 400)
      #expect(try await coordinator.get("/v3/demo/types/\(type)")["volume_type"]["qos_specs_id"] == .string(spec))
      let associations = try await coordinator.get("/v3/demo/qos-specs/\(spec)/associations")["qos_associations"]
      #expect(
        associations
          == .array([
            .object(["association_type": .string("volume_type"), "name": .string("ssd"), "id": .string(type)])
          ]))
      #expect(try await coordinator.send(.delete, "/v3/demo/qos-specs/\(spec)").status == 400)
      #expect(try await ask(other, "disassociate?vol_type_id=\(type)") == 202)
      #expect(coordinator.tables.type(named: "ssd")?.qosSpec?.description == spec)
      #expect(try await ask(spec, "disassociate?vol_type_id=\(type)") == 202)
      #expect(coordinator.tables.type(named: "ssd")?.qosSpec == nil)
      #expect(try await ask(spec, "associate?vol_type_id=\(type)") == 202)
      #expect(try await ask(spec, "disassociate_all") == 202)
      #expect(try await ask(spec, "associate?vol_type_id=\(type)") == 202)
      #expect(try await coordinator.send(.delete, "/v3/demo/qos-specs/\(spec)?force=True").status == 202)
      #expect(coordinator.tables.type(named: "ssd")?.qosSpec == nil)
    }
  }

  @Test func limitsForTheFrontEndGoWithTheOrderToConnect() async throws {
    let instance = Instance(id: .random(), name: "vm", status: .active)
    try await withCoordinator(nodes: [FakeNode("n1", instances: [instance])]) { (coordinator) async throws in
      let node = coordinator.nodes[0]
      for (name, consumer) in [("limited", "front-end"), ("both", "both"), ("free", "back-end")] {
        let type = try await coordinator.type(name)
        let spec = try await coordinator.qosSpec(name, #""consumer": "\#(consumer)", "total_iops_sec": "500""#)
        _ = try await coordinator.get("/v3/demo/qos-specs/\(spec)/associate?vol_type_id=\(type)")
        let volume = try await coordinator.volume(name, more: #", "volume_type": "\#(name)""#)
        _ = try await coordinator.send(
          .post, "/compute/v2.1/servers/\(instance.id)/os-volume_attachments",
          #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#, headers: ["X-Project-Id": "demo"])
        try await coordinator.until("\(name) is attached") { tables in
          tables.holders(of: volume).contains { $0.state == .attached }
        }
        #expect(node.limits[volume]?.values == (consumer == "back-end" ? nil : [.totalOperations: 500]))
      }
    }
  }

  @Test func onlyAdminsSeeThem() async throws {
    try await withCoordinator(tokens: AuthorizationTests.tokens) { (coordinator) async throws in
      #expect(try await coordinator.get("/v3/qos-specs", token: "token-of-the-member").status == 403)
      #expect(try await coordinator.get("/v3/qos-specs", token: "token-of-the-admin").status == 200)
    }
  }
}

extension CoordinatorFixture {
  /// Makes a volume type, and gives its id.
  func type(_ name: String, more: String = "") async throws -> String {
    let answer = try await send(.post, "/v3/demo/types", #"{"volume_type": {"name": "\#(name)"\#(more)}}"#)
    return try #require(answer["volume_type"]["id"].string, "\(answer.text)")
  }

  fileprivate func qosSpec(_ name: String, _ rules: String) async throws -> String {
    let more = rules.isEmpty ? "" : ", \(rules)"
    let answer = try await send(.post, "/v3/demo/qos-specs", #"{"qos_specs": {"name": "\#(name)"\#(more)}}"#)
    return try #require(answer["qos_specs"]["id"].string, "\(answer.text)")
  }
}
