import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Volumes that several instances may have at the same time.
@Suite struct MultiattachTests {
  private static let instances = ["a", "b"].map { Instance(id: .random(), name: $0, status: .active) }

  private func attach(
    _ volume: VolumeID, to instance: Instance, by coordinator: CoordinatorFixture, version: String = "2.60"
  ) async throws -> Answer {
    try await coordinator.send(
      .post, "/compute/v2.1/servers/\(instance.id)/os-volume_attachments",
      #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#, headers: ["OpenStack-API-Version": "compute \(version)"])
  }

  private func with(_ spec: String, _ body: @escaping @Sendable (CoordinatorFixture, VolumeID) async throws -> Void)
    async throws
  {
    let compute = FakeNode("c1", poolSize: .zero, instances: Self.instances)
    try await withCoordinator(nodes: [FakeNode("n1"), compute]) { (coordinator) async throws in
      let type = try await coordinator.send(
        .post, "/v3/demo/types",
        #"{"volume_type": {"name": "shared", "extra_specs": {"multiattach": "\#(spec)"}}}"#)
      try #require(type.status == 200, "\(type.text)")
      try await body(coordinator, try await coordinator.volume(more: #", "volume_type": "shared""#))
    }
  }

  @Test func whoKnowsOfNoSuchVolumesCanNotAttachThem() async throws {
    try await with("<is> True") { coordinator, volume in
      let answer = try await attach(volume, to: Self.instances[0], by: coordinator, version: "2.59")
      #expect(answer.status == 400 && answer.message.contains("2.60"))
      #expect(coordinator.tables.attachments.isEmpty)
    }
  }

  @Test func twoInstancesHaveItAndTheLastOneFreesIt() async throws {
    try await with("<is> True") { coordinator, volume in
      for instance in Self.instances {
        #expect(try await attach(volume, to: instance, by: coordinator).status == 200)
      }
      try await coordinator.until("both have it") { tables in
        tables.holders(of: volume).filter { $0.state == .attached }.count == 2
      }
      let shown = try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]
      #expect(shown["status"] == .string("in-use") && shown["multiattach"] == .bool(true))
      #expect(
        Set(shown["attachments"].array.compactMap { $0["server_id"].string })
          == Set(Self.instances.map { "\($0.id)" }))
      let again = try await attach(volume, to: Self.instances[0], by: coordinator)
      #expect(again.status == 400 && again.text.contains("is attached to instance \(Self.instances[0].id)"))
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)").status == 400)

      for (index, instance) in Self.instances.enumerated() {
        _ = try await coordinator.send(
          .delete, "/compute/v2.1/servers/\(instance.id)/os-volume_attachments/\(volume)")
        try await coordinator.until("\(instance.name) has it no more") { tables in
          tables.holders(of: volume).count == 1 - index
        }
        let status = try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]["status"]
        #expect(status == .string(index == 0 ? "in-use" : "available"))
      }
    }
  }

  @Test(arguments: ["<is> False", "<or> True <or> False"])
  func withoutTheTypesWordOneInstanceHasIt(_ spec: String) async throws {
    try await withCoordinator(
      nodes: [FakeNode("n1"), FakeNode("c1", poolSize: .zero, instances: Self.instances)]
    ) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      #expect(try await attach(volume, to: Self.instances[0], by: coordinator).status == 200)
      #expect(try await attach(volume, to: Self.instances[1], by: coordinator).status == 400)
      #expect(!VolumeType.make(extraSpecs: ["multiattach": spec]).allowsMultiattach)
    }
  }

  @Test func aSnapshotOfTwoGuestsDisksIsOfACrash() async throws {
    try await with("<is> true") { coordinator, volume in
      for instance in Self.instances { _ = try await attach(volume, to: instance, by: coordinator) }
      try await coordinator.until("both have it") { tables in
        tables.holders(of: volume).filter { $0.state == .attached }.count == 2
      }
      let snapshot = try await coordinator.snapshot(of: volume, more: #", "force": true"#)
      let row = try #require(coordinator.tables.snapshots[snapshot])
      #expect(row.consistency == .crash && row.consistencyReason?.contains("2 instances") == true)
      #expect(coordinator.nodes[1].calls.isEmpty, "No guest is held.")
    }
  }

  @Test func listsTellThemApart() async throws {
    try await with("<is> True") { coordinator, volume in
      let other = try await coordinator.volume("other")
      for (wanted, id) in [("true", volume), ("false", other)] {
        let list = try await coordinator.get("/v3/demo/volumes?multiattach=\(wanted)")["volumes"].array
        #expect(list.compactMap { $0["id"].string } == ["\(id)"])
      }
    }
  }
}
