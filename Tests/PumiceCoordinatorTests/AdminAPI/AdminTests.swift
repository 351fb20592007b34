import HTTPTypes
import HashTreeCollections
import Hummingbird
import NIOCore
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceCoordinator

@Suite struct AdminTests {
  @Test func nodesAreListedShownAndSwitched() async throws {
    try await withCoordinator(nodes: [FakeNode("n1", instances: [Instance(id: .random(), name: "vm", status: .active)])]
    ) {
      (coordinator) async throws in
      let node = try await coordinator.get("/pumice/v1/nodes")["nodes"][0]
      #expect(node["name"] == .string("n1"))
      #expect(node["state"] == .string("up"))
      #expect(node["enabled"] == .bool(true))
      #expect(node["lost"] == .bool(false))
      #expect(node["disabled_reason"] == .null)
      #expect(node["instances_count"] == .integer(1))
      #expect(node["pools"][0]["name"] == .string("n1@ssd#ssd"))
      #expect(node["connectors"][0]["kind"] == .string("memory"))
      #expect(node["last_report"].string?.hasSuffix("Z") == true)
      let off = try await coordinator.send(
        .put, "/pumice/v1/nodes/n1", #"{"enabled": false, "disabled_reason": "new disks"}"#)
      #expect(off["node"]["enabled"] == .bool(false))
      #expect(off["node"]["disabled_reason"] == .string("new disks"))
      let lost = try await coordinator.send(.put, "/pumice/v1/nodes/n1", #"{"lost": true}"#)
      #expect(lost["node"]["lost"] == .bool(true))
      #expect(lost["node"]["state"] == .string("down"))
      let back = try await coordinator.send(.put, "/pumice/v1/nodes/n1", #"{"enabled": true}"#)
      #expect(back["node"]["lost"] == .bool(false))
      #expect(try await coordinator.send(.put, "/pumice/v1/nodes/n9", #"{"enabled": true}"#).status == 404)
    }
  }

  @Test func anExplanationSaysWhatIsPendingAndWhy() async throws {
    try await withCoordinator { (coordinator) async throws in
      coordinator.nodes[0].failVolumes(with: StorageError(.unavailable, "The disk is away."))
      let created = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 1, "name": "db"}}"#)
      let id = try #require(created["volume"]["id"].string.flatMap { VolumeID($0) })
      try await coordinator.until("a try has failed") { ($0.volumes[id]?.retry.attempts ?? 0) > 0 }
      let explained = try await coordinator.get("/pumice/v1/volumes/\(id)/explain")
      #expect(explained["volume"]["name"] == .string("db"))
      #expect(explained["pending_work"] == .string("provision on n1@ssd#ssd"))
      #expect(explained["last_error"] == .string("The disk is away."))
      #expect((explained["attempts"].int ?? 0) >= 1)
      #expect(explained["next_try"].string != nil)
      #expect(explained["placement"]["pool"] == .string("n1@ssd#ssd"))
      coordinator.nodes[0].failVolumes(with: nil)
      try await coordinator.until("it is available") { $0.volumes[id]?.state == .available }
      let settled = try await coordinator.get("/pumice/v1/volumes/\(id)/explain")
      #expect(settled["pending_work"] == .null)
      #expect(settled["messages"] == .array([]))
    }
  }

  @Test func anExplanationOfASnapshotSaysWhatIsPendingAndWhy() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      coordinator.nodes[0].failVolumes(with: StorageError(.unavailable, "The disk is away."))
      let surroundings = coordinator.api.surroundings
      let id = try await coordinator.api.store.write { tables in
        try tables.createSnapshot(SnapshotOrder(of: volume), of: "demo", at: surroundings.now(), in: surroundings).id
      }
      try await coordinator.until("a try has failed") { ($0.snapshots[id]?.retry.attempts ?? 0) > 0 }
      let explained = try await coordinator.get("/pumice/v1/snapshots/\(id)/explain")
      #expect(explained["snapshot"]["volume"] == .string("\(volume)"))
      #expect(explained["snapshot"]["status"] == .string("creating"))
      #expect(explained["placement"]["pool"] == .string("n1@ssd#ssd"))
      #expect(explained["pending_work"] == .string("take on n1@ssd#ssd"))
      #expect(explained["last_error"] == .string("The disk is away."))
      coordinator.nodes[0].failVolumes(with: StorageError(.unsupported, "It can't."))
      try await coordinator.until("it is given up") { $0.snapshots[id]?.state == .error }
      let failed = try await coordinator.get("/pumice/v1/snapshots/\(id)/explain")
      #expect(failed["snapshot"]["failure"] == .string("It can't."))
      #expect(failed["pending_work"] == .null)
      #expect(failed["messages"][0]["text"] == .string("It can't."))
      #expect(failed["messages"][0]["snapshot_id"] == .string("\(id)"))
      #expect(try await coordinator.get("/pumice/v1/snapshots/\(volume)/explain").status == 404)
    }
  }

  @Test func theDoctorFindsWhatNobodyKnows() async throws {
    try await withCoordinator { (coordinator) async throws in
      #expect(try await coordinator.get("/pumice/v1/doctor").text == #"{"findings":[]}"#)
      let stray = VolumeID.random()
      coordinator.nodes[0].plant(stray)
      let finding = try await coordinator.get("/pumice/v1/doctor")["findings"][0]
      #expect(finding["kind"] == .string("orphanVolume"))
      #expect(finding["node"] == .string("n1"))
      #expect(finding["resource"] == .string("\(stray)"))
      #expect(finding["detail"].string?.isEmpty == false && finding["remedy"].string?.isEmpty == false)
    }
  }

  @Test func theDoctorFindsSnapshotsThatNobodyKnowsAndThatAreMissing() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let (stray, missing) = (SnapshotID.random(), try await coordinator.snapshot(of: volume))
      coordinator.nodes[0].plant(stray, of: volume)
      coordinator.nodes[0].plant(missing, of: nil)
      let findings = try await coordinator.get("/pumice/v1/doctor")["findings"].array
      #expect(findings.map { $0["kind"].string } == ["orphanSnapshot", "missingSnapshot"])
      #expect(findings.map { $0["resource"].string } == ["\(stray)", "\(missing)"])
      #expect(findings.allSatisfy { $0["remedy"].string?.isEmpty == false })
    }
  }

  @Test func aMessageIsDeletedByItsOwner() async throws {
    try await withCoordinator(nodes: []) { (coordinator) async throws in
      _ = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 1}}"#)
      let id = try #require(try await coordinator.get("/v3/demo/messages", version: "3.3")["messages"][0]["id"].string)
      #expect(try await coordinator.get("/v3/demo/messages/\(id)", version: "3.3")["message"]["id"] == .string(id))
      #expect(try await coordinator.send(.delete, "/v3/demo/messages/\(id)", version: "3.3").status == 204)
      #expect(try await coordinator.get("/v3/demo/messages/\(id)", version: "3.3").status == 404)
    }
  }

  // MARK: Reports

  private func report(_ report: NodeReport, token: String, to coordinator: CoordinatorFixture) async throws -> Answer {
    try await coordinator.send(
      .post, "/nodes/v1/reports", bytes: ByteBuffer(bytes: try WireJSON.encode(report)),
      headers: ["Authorization": "Bearer \(token)"])
  }

  @Test func theFirstReportRegistersANode() async throws {
    try await withCoordinator(nodes: []) { (coordinator) async throws in
      let node = FakeNode("n7")
      for _ in 0..<3 {
        #expect(
          try await report(node.currentReport, token: CoordinatorFixture.joinToken, to: coordinator).status == 204)
      }
      #expect(coordinator.tables.nodes.count == 1)
      #expect(coordinator.tables.observations["n7"] != nil)
    }
  }

  @Test func aReportWithAnotherTokenIsRefused() async throws {
    try await withCoordinator(nodes: []) { (coordinator) async throws in
      for token in ["", "wrong", CoordinatorFixture.joinToken + "x"] {
        let answer = try await report(FakeNode("n7").currentReport, token: token, to: coordinator)
        #expect(answer.status == 401)
        #expect(answer["error"]["code"] == .string("unauthenticated"))
      }
      #expect(coordinator.tables.nodes.isEmpty)
    }
  }

  @Test func aReportWithNamesThatCannotBeIsRefusedByField() async throws {
    try await withCoordinator(nodes: []) { (coordinator) async throws in
      for (change, field) in [
        ({ $0.name = "a@b" }, "name"), ({ $0.name = "" }, "name"), ({ $0.address = "file:///etc" }, "address"),
        ({ $0.pools[0] = PoolReport(backend: "a#b", pool: "p", total: .zero, free: .zero, isThin: false) }, "backend"),
        ({ $0.availabilityZone = "a b" }, "availabilityZone"),
      ] as [((inout NodeReport) -> Void, String)] {
        var wrong = FakeNode("n7").currentReport
        change(&wrong)
        let answer = try await report(wrong, token: CoordinatorFixture.joinToken, to: coordinator)
        #expect(answer.status == 400, "\(answer.text)")
        #expect(answer["error"]["field"].string?.contains(field) == true, "\(answer.text)")
      }
      let broken = try await coordinator.send(
        .post, "/nodes/v1/reports", "{", headers: ["Authorization": "Bearer \(CoordinatorFixture.joinToken)"])
      #expect(broken.status == 400)
      #expect(coordinator.tables.nodes.isEmpty)
    }
  }
}
