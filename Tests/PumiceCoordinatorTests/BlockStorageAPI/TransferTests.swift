import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct TransferTests {
  private let latest = "3.70"

  @Test(arguments: ["os-volume-transfer", "volume-transfers"])
  func aVolumeChangesHandsWithItsSnapshots(path: String) async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume("db", size: 2)
      let snapshot = try await coordinator.snapshot(of: volume)
      let offer = try await coordinator.send(
        .post, "/v3/demo/\(path)", #"{"transfer": {"volume_id": "\#(volume)", "name": "gift"}}"#, version: latest)
      #expect(offer.status == 202)
      let id = try #require(offer["transfer"]["id"].string)
      let key = try #require(offer["transfer"]["auth_key"].string)
      #expect(key.count == 32)
      #expect(offer["transfer"]["no_snapshots"] == .bool(false))
      #expect(offer["transfer"]["source_project_id"] == .string("demo"))
      #expect(try await coordinator.status(of: volume) == "awaiting-transfer")
      let shown = try await coordinator.get("/v3/demo/\(path)/\(id)", version: latest)
      #expect(shown["transfer"]["auth_key"] == .null)
      #expect(shown["transfer"]["name"] == .string("gift"))
      #expect(
        try await coordinator.get("/v3/demo/\(path)", version: latest)["transfers"][0].object.keys.sorted() == [
          "id", "links", "name", "volume_id",
        ])
      #expect(
        try await coordinator.get("/v3/demo/\(path)/detail", version: latest)["transfers"][0]["created_at"] != .null)
      #expect(coordinator.tables.transfers.values.allSatisfy { !$0.keyDigest.contains(key) })

      let accept = "/v3/other/\(path)/\(id)/accept"
      let wrong = try await coordinator.send(.post, accept, #"{"accept": {"auth_key": "0000"}}"#, version: latest)
      #expect(wrong.status == 400)
      #expect(wrong.message.contains("auth_key"))
      let accepted = try await coordinator.send(
        .post, accept, #"{"accept": {"auth_key": "\#(key)"}}"#, version: latest)
      #expect(accepted.status == 202)
      #expect(accepted["transfer"]["volume_id"] == .string("\(volume)"))
      #expect(
        try await coordinator.send(.post, accept, #"{"accept": {"auth_key": "\#(key)"}}"#, version: latest).status
          == 404)
      #expect(coordinator.tables.volumes[volume]?.project == "other")
      #expect(coordinator.tables.snapshots[snapshot]?.project == "other")
      #expect(coordinator.tables.transfers.isEmpty)
      #expect(try await coordinator.get("/v3/demo/volumes")["volumes"].array.isEmpty)
      #expect(try await coordinator.get("/v3/other/volumes")["volumes"].array.count == 1)
      #expect(try await coordinator.get("/v3/other/snapshots")["snapshots"].array.count == 1)
      #expect(coordinator.tables.usage(of: "demo") == QuotaUsage())
      #expect(coordinator.tables.usage(of: "other").gigabytes == 4)
      #expect(try await coordinator.status(of: volume, in: "other") == "available")
      try await coordinator.until("the node knows whose it is") { $0.pending.isEmpty }
      #expect(coordinator.nodes[0].owners[volume] == "other")
      #expect(try await coordinator.send(.delete, "/v3/other/volumes/\(volume)?cascade=true").status == 202)
      try await coordinator.until("it is gone") { $0.volumes[volume]?.state == .deleted }
    }
  }

  @Test func meanwhileNothingIsDoneToIt() async throws {
    let instance = Instance(id: .random(), name: "vm", status: .active)
    try await withCoordinator(nodes: [FakeNode("n1", instances: [instance])]) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let snapshot = try await coordinator.snapshot(of: volume)
      let (id, _) = try await coordinator.offer(volume)
      let path = "/v3/demo/volumes/\(volume)"
      let refused: [(HTTPRequest.Method, String, String?)] = [
        (.delete, "\(path)?cascade=true", nil),
        (.post, "\(path)/action", #"{"os-extend": {"new_size": 5}}"#),
        (.post, "\(path)/action", #"{"os-reset_status": {"status": "available"}}"#),
        (.post, "/v3/demo/snapshots", #"{"snapshot": {"volume_id": "\#(volume)"}}"#),
        (.post, "/v3/demo/volumes", #"{"volume": {"source_volid": "\#(volume)"}}"#),
        (.post, "/v3/demo/os-volume-transfer", #"{"transfer": {"volume_id": "\#(volume)"}}"#),
      ]
      for (method, path, body) in refused {
        let answer = try await coordinator.send(method, path, body)
        #expect(answer.status == 400, "\(method) \(path) \(body ?? ""): \(answer.text)")
        #expect(answer.message.contains("awaiting-transfer"), "\(answer.text)")
      }
      let attach = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(instance.id)/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#, headers: ["X-Project-Id": "demo"])
      #expect(attach.status == 400)
      let revert = try await coordinator.send(
        .post, "\(path)/action", #"{"revert": {"snapshot_id": "\#(snapshot)"}}"#, version: "3.40")
      #expect(revert.status == 409)
      #expect(coordinator.tables.volumes.count == 1 && coordinator.tables.snapshots.count == 1)

      #expect(try await coordinator.send(.delete, "/v3/other/os-volume-transfer/\(id)").status == 202, "An admin may.")
      #expect(try await coordinator.status(of: volume) == "available")
      #expect(try await coordinator.send(.delete, "/v3/demo/os-volume-transfer/\(id)").status == 404)
      #expect(try await coordinator.send(.delete, "\(path)?cascade=true").status == 202)
    }
  }

  @Test func whatIsInUseIsNotOffered() async throws {
    let instance = Instance(id: .random(), name: "vm", status: .active)
    try await withCoordinator(nodes: [FakeNode("n1", instances: [instance])]) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      _ = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(instance.id)/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#, headers: ["X-Project-Id": "demo"])
      let answer = try await coordinator.send(
        .post, "/v3/demo/os-volume-transfer", #"{"transfer": {"volume_id": "\#(volume)"}}"#)
      #expect(answer.status == 400)
      #expect(coordinator.tables.transfers.isEmpty)
    }
  }

  @Test func whoeverAcceptsNeedsRoomInTheQuota() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume(size: 2)
      try await coordinator.snapshot(of: volume)
      let (id, key) = try await coordinator.offer(volume)
      for limits in [#""volumes": 0"#, #""snapshots": 0"#, #""gigabytes": 3"#, #""per_volume_gigabytes": 1"#] {
        _ = try await coordinator.send(
          .put, "/v3/other/os-quota-sets/other",
          #"{"quota_set": {"volumes": 1, "snapshots": 1, "gigabytes": 4, "per_volume_gigabytes": -1}}"#)
        _ = try await coordinator.send(.put, "/v3/other/os-quota-sets/other", "{\"quota_set\": {\(limits)}}")
        let answer = try await coordinator.accept(id, key, in: "other")
        #expect(answer.status == 413, "\(limits)")
        #expect(try await coordinator.status(of: volume) == "awaiting-transfer")
        #expect(coordinator.tables.volumes[volume]?.project == "demo")
      }
      _ = try await coordinator.send(
        .put, "/v3/other/os-quota-sets/other", #"{"quota_set": {"per_volume_gigabytes": 2}}"#)
      #expect(try await coordinator.accept(id, key, in: "other").status == 202)
      #expect(coordinator.tables.usage(of: "other").volumes == 1)
    }
  }

  @Test func anOfferAcceptedAtHomeNeedsNoRoom() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"volumes": 1}}"#)
      let (id, key) = try await coordinator.offer(volume)
      #expect(try await coordinator.accept(id, key, in: "demo").status == 202)
      #expect(coordinator.tables.usage(of: "demo").volumes == 1)
      #expect(try await coordinator.get("/v3/demo/volumes")["volumes"].array.count == 1)
    }
  }

  @Test func snapshotsStayWhereThatIsAskedForAndAreNotTakenAwayFromThere() async throws {
    try await withCoordinator(tokens: AuthorizationTests.tokens) { (coordinator) async throws in
      let (member, stranger) = ("token-of-the-member", "token-of-the-stranger")
      let surroundings = coordinator.api.surroundings
      let policy = coordinator.api.policy
      let volume = try await coordinator.api.store.write {
        try $0.createVolume(
          VolumeOrder(project: "demo", size: .gibibytes(1)), policy: policy, at: surroundings.now(), in: surroundings)
      }.id
      try await coordinator.until("it is available") { $0.volumes[volume]?.state == .available }
      let snapshot = try await coordinator.api.store.write {
        try $0.createSnapshot(SnapshotOrder(of: volume), of: "demo", at: surroundings.now(), in: surroundings)
      }.id
      try await coordinator.until("it is taken") { $0.snapshots[snapshot]?.state == .available }
      let offer = try await coordinator.send(
        .post, "/v3/volume-transfers", #"{"transfer": {"volume_id": "\#(volume)", "no_snapshots": true}}"#,
        version: latest, token: member)
      let id = try #require(offer["transfer"]["id"].string)
      let key = try #require(offer["transfer"]["auth_key"].string)
      #expect(offer["transfer"]["no_snapshots"] == .bool(true))
      #expect(
        try await coordinator.get("/v3/volume-transfers/\(id)", version: latest, token: stranger).status == 404)
      #expect(
        try await coordinator.send(.delete, "/v3/volume-transfers/\(id)", version: latest, token: stranger).status
          == 404)
      #expect(
        try await coordinator.get("/v3/volume-transfers", version: latest, token: stranger)["transfers"].array.isEmpty)
      let accepted = try await coordinator.send(
        .post, "/v3/volume-transfers/\(id)/accept", #"{"accept": {"auth_key": "\#(key)"}}"#, version: latest,
        token: stranger)
      #expect(accepted.status == 202)
      #expect(coordinator.tables.volumes[volume]?.user == "otto")
      #expect(coordinator.tables.snapshots[snapshot]?.project == "demo")
      #expect(coordinator.tables.usage(of: "demo").snapshots == 1)
      let refused = try await coordinator.send(.delete, "/v3/volumes/\(volume)?cascade=true", token: stranger)
      #expect(refused.status == 400)
      #expect(refused.message.contains("stayed with the project"))
      #expect(try await coordinator.send(.delete, "/v3/snapshots/\(snapshot)", token: member).status == 202)
      try await coordinator.until("the snapshot is gone") { $0.snapshots[snapshot]?.state == .deleted }
      #expect(try await coordinator.send(.delete, "/v3/volumes/\(volume)", token: stranger).status == 202)
    }
  }

  @Test func aTypeThatIsClosedToTheOtherProjectKeepsTheVolumeHere() async throws {
    try await withCoordinator { (coordinator) async throws in
      let type = try await coordinator.type("secret", more: #", "is_public": false"#)
      let volume = try await coordinator.volume(more: #", "volume_type": "secret""#)
      let (id, key) = try await coordinator.offer(volume)
      let refused = try await coordinator.accept(id, key, in: "other")
      #expect(refused.status == 400)
      #expect(refused.message.contains("secret"))
      _ = try await coordinator.send(
        .post, "/v3/demo/types/\(type)/action", #"{"addProjectAccess": {"project": "other"}}"#)
      #expect(try await coordinator.accept(id, key, in: "other").status == 202)
    }
  }

  @Test func theNewNameOfTheRouteIsThereFrom355On() async throws {
    try await withCoordinator { (coordinator) async throws in
      #expect(try await coordinator.get("/v3/demo/volume-transfers", version: "3.54").status == 404)
      #expect(try await coordinator.get("/v3/demo/volume-transfers", version: "3.55").status == 200)
      let volume = try await coordinator.volume()
      let early = try await coordinator.send(
        .post, "/v3/demo/os-volume-transfer",
        #"{"transfer": {"volume_id": "\#(volume)", "no_snapshots": true}}"#)
      #expect(early.status == 400)
      #expect(try await coordinator.status(of: volume) == "available")
    }
  }
}

extension CoordinatorFixture {
  fileprivate func status(of volume: VolumeID, in project: String = "demo") async throws -> String? {
    try await get("/v3/\(project)/volumes/\(volume)")["volume"]["status"].string
  }

  fileprivate func offer(_ volume: VolumeID) async throws -> (id: String, key: String) {
    let answer = try await send(
      .post, "/v3/demo/os-volume-transfer", #"{"transfer": {"volume_id": "\#(volume)"}}"#)
    return (
      try #require(answer["transfer"]["id"].string, "\(answer.text)"),
      try #require(answer["transfer"]["auth_key"].string)
    )
  }

  fileprivate func accept(_ id: String, _ key: String, in project: String) async throws -> Answer {
    try await send(
      .post, "/v3/\(project)/os-volume-transfer/\(id)/accept", #"{"accept": {"auth_key": "\#(key)"}}"#)
  }
}
