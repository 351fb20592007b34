import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Volumes that leave the store and stay on their node, and that come back.
@Suite struct ManageableTests {
  private static let vm = Instance(id: .random(), name: "vm", status: .active)

  private func manage(_ id: VolumeID, _ more: String = "", by coordinator: CoordinatorFixture) async throws -> Answer {
    try await coordinator.send(
      .post, "/v3/demo/manageable_volumes",
      #"{"volume": {"host": "n1@ssd#ssd", "ref": {"source-name": "volume-\#(id)"}\#(more)}}"#, version: "3.8")
  }

  private func unmanage(_ id: VolumeID, by coordinator: CoordinatorFixture) async throws -> Answer {
    try await coordinator.send(.post, "/v3/demo/volumes/\(id)/action", #"{"os-unmanage": {}}"#)
  }

  private func listed(by coordinator: CoordinatorFixture) async throws -> [JSONValue] {
    try await coordinator.get("/v3/demo/manageable_volumes/detail?host=n1@ssd", version: "3.8")["manageable-volumes"]
      .array
  }

  @Test func aVolumeLeavesAndComesBackAsWhatItWas() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      let volume = try await coordinator.volume("db", size: 2)
      #expect(try await listed(by: coordinator).first?["reason_not_safe"] == .string("It is managed already."))
      #expect(try await unmanage(volume, by: coordinator).status == 202)
      #expect(try await coordinator.get("/v3/demo/volumes/\(volume)").status == 404)
      #expect(coordinator.tables.usage(of: "demo").volumes == 0)
      #expect(node.volumes[volume] == .gibibytes(2), "Nobody erases it.")
      let offer = try #require(try await listed(by: coordinator).first)
      #expect(offer["safe_to_manage"] == .bool(true) && offer["size"] == .integer(2))
      #expect(offer["reference"]["source-name"] == .string("volume-\(volume)"))

      let managed = try await manage(
        volume, #", "name": "again", "metadata": {"a": "b"}, "bootable": true"#, by: coordinator)
      #expect(managed.status == 202, "\(managed.text)")
      #expect(managed["volume"]["id"] == .string("\(volume)"))
      try await coordinator.until("its node calls it so, too") { $0.volumes[volume]?.pendingWork == nil }
      #expect(node.calls.last == "ensure volume \(volume)")
      let shown = try await coordinator.get("/v3/demo/volumes/\(volume)")["volume"]
      #expect(shown["status"] == .string("available") && shown["size"] == .integer(2))
      #expect(shown["name"] == .string("again") && shown["bootable"] == .string("true"))
      #expect(coordinator.tables.volumes[volume]?.revision ?? 0 > 3)
      #expect(try await manage(volume, by: coordinator).status == 400, "It is there now.")
    }
  }

  @Test func whatIsInUseStaysWhereItIs() async throws {
    let node = FakeNode("n1", instances: [Self.vm])
    try await withCoordinator(nodes: [node]) { coordinator in
      let (held, source) = (try await coordinator.volume("held"), try await coordinator.volume("source"))
      try await coordinator.snapshot(of: source)
      _ = try await coordinator.send(.post, "/v3/demo/volumes/\(held)/action", #"{"os-reserve": {}}"#)
      for volume in [held, source] {
        let refused = try await unmanage(volume, by: coordinator)
        #expect(refused.status == 400, "\(refused.text)")
      }
      let strange = VolumeID.random()
      #expect(try await manage(strange, by: coordinator).status == 400)
      #expect(coordinator.tables.volumes[strange] == nil)
    }
  }

  @Test func theQuotaHoldsAndTheTypeFits() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      let found = VolumeID.random()
      node.plant(found)
      _ = try await coordinator.send(
        .post, "/v3/demo/types", #"{"volume_type": {"name": "tape", "extra_specs": {"media": "tape"}}}"#)
      let unfit = try await manage(found, #", "volume_type": "tape""#, by: coordinator)
      #expect(unfit.status == 400 && unfit.text.contains("tape"), "\(unfit.text)")
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"volumes": 0}}"#)
      #expect(try await manage(found, by: coordinator).status == 413)
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"volumes": 1}}"#)
      #expect(try await manage(found, by: coordinator).status == 202)
    }
  }
}
