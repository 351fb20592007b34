import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Snapshots that leave the store and stay on their node, and that come back.
@Suite struct ManageableSnapshotTests {
  private func manage(
    _ id: SnapshotID, of volume: VolumeID, _ more: String = "", by coordinator: CoordinatorFixture
  ) async throws -> Answer {
    try await coordinator.send(
      .post, "/v3/demo/manageable_snapshots",
      #"{"snapshot": {"volume_id": "\#(volume)", "ref": {"source-name": "snapshot-\#(id)"}\#(more)}}"#, version: "3.8")
  }

  private func unmanage(_ id: SnapshotID, by coordinator: CoordinatorFixture) async throws -> Answer {
    try await coordinator.send(.post, "/v3/demo/snapshots/\(id)/action", #"{"os-unmanage": {}}"#)
  }

  private func listed(by coordinator: CoordinatorFixture) async throws -> [JSONValue] {
    try await coordinator.get("/v3/demo/os-snapshot-manage/detail?host=n1@ssd")["manageable-snapshots"].array
  }

  @Test func aSnapshotLeavesAndComesBackAsWhatItWas() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      let volume = try await coordinator.volume("db", size: 2)
      let snapshot = try await coordinator.snapshot(of: volume, "first")
      let known = try #require(try await listed(by: coordinator).first)
      #expect(known["reason_not_safe"] == .string("It is managed already."))
      #expect(known["cinder_id"] == .string("\(snapshot)"))
      #expect(try await unmanage(snapshot, by: coordinator).status == 202)
      #expect(try await coordinator.get("/v3/demo/snapshots/\(snapshot)").status == 404)
      #expect(coordinator.tables.usage(of: "demo").snapshots == 0)

      try await coordinator.report()
      await coordinator.api.watch.lookAround()
      #expect(await coordinator.api.watch.diagnose().map(\.kind) == [.orphanSnapshot])
      #expect(coordinator.tables.pending.isEmpty && node.snapshots[snapshot] == volume, "Nobody erases it.")
      let offer = try #require(try await listed(by: coordinator).first)
      #expect(offer["safe_to_manage"] == .bool(true) && offer["size"] == .integer(2))
      #expect(offer["reference"]["source-name"] == .string("snapshot-\(snapshot)"))
      #expect(offer["source_reference"]["source-name"] == .string("volume-\(volume)"))
      #expect(offer["cinder_id"] == .null)

      let managed = try await manage(
        snapshot, of: volume, #", "name": "again", "description": "d", "metadata": {"a": "b"}"#, by: coordinator)
      #expect(managed.status == 202, "\(managed.text)")
      #expect(managed["snapshot"]["id"] == .string("\(snapshot)"))
      let shown = try await coordinator.get("/v3/demo/snapshots/\(snapshot)")["snapshot"]
      #expect(shown["status"] == .string("available") && shown["size"] == .integer(2))
      #expect(shown["name"] == .string("again") && shown["volume_id"] == .string("\(volume)"))
      #expect(shown["metadata"]["a"] == .string("b"))
      #expect(try await manage(snapshot, of: volume, by: coordinator).status == 400, "It is there now.")
      #expect(try await coordinator.send(.delete, "/v3/demo/snapshots/\(snapshot)").status == 202)
      try await coordinator.until("it is gone") { $0.snapshots[snapshot]?.state == .deleted }
      #expect(node.snapshots.isEmpty)
    }
  }

  @Test func aVolumeWithASnapshotThatNobodyManagesIsNotDeleted() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      let volume = try await coordinator.volume()
      let (left, other) = (try await coordinator.snapshot(of: volume), try await coordinator.snapshot(of: volume))
      #expect(try await unmanage(left, by: coordinator).status == 202)
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)?cascade=true").status == 202)
      try await coordinator.until("it stays") {
        $0.volumes[volume]?.state == .available && !$0.messages.isEmpty
      }
      #expect(node.volumes[volume] != nil && node.snapshots.keys.map(\.self) == [left])
      #expect(coordinator.tables.snapshots[other]?.state == .deleted)
      #expect(node.calls.last == "ensure volume \(volume)", "What may still come late is stale now.")
      let message = try #require(
        try await coordinator.get("/v3/demo/messages", version: "3.70")["messages"].array.first)
      #expect(message["user_message"].string?.contains("\(left)") == true)
      #expect(message["resource_uuid"] == .string("\(volume)"))

      #expect(try await manage(left, of: volume, by: coordinator).status == 202)
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)?cascade=true").status == 202)
      try await coordinator.until("it is gone") { $0.volumes[volume]?.state == .deleted }
      #expect(node.volumes.isEmpty && node.snapshots.isEmpty)
    }
  }

  @Test func aVolumeIsLeftAndTakenInTogetherWithItsSnapshots() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      let volume = try await coordinator.volume()
      let snapshot = try await coordinator.snapshot(of: volume)
      let action = #"{"os-unmanage": {}}"#
      #expect(try await coordinator.send(.post, "/v3/demo/volumes/\(volume)/action", action).status == 400)
      #expect(try await unmanage(snapshot, by: coordinator).status == 202)
      #expect(try await coordinator.send(.post, "/v3/demo/volumes/\(volume)/action", action).status == 202)
      let reason = try await listed(by: coordinator).first?["reason_not_safe"].string
      #expect(reason == "Its volume \(volume) is not managed.")
      #expect(try await manage(snapshot, of: volume, by: coordinator).status == 404)
      let taken = try await coordinator.send(
        .post, "/v3/demo/manageable_volumes",
        #"{"volume": {"host": "n1@ssd#ssd", "ref": {"source-id": "\#(volume)"}}}"#, version: "3.8")
      #expect(taken.status == 202, "\(taken.text)")
      #expect(try await manage(snapshot, of: volume, by: coordinator).status == 202)
      #expect(coordinator.tables.snapshots(of: volume).map(\.id) == [snapshot])
    }
  }

  @Test func whatIsListedIsSortedAndANodeThatIsAwayIsNoFailureOfOurs() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      for size in [2, 3, 1] { try await coordinator.snapshot(of: try await coordinator.volume(size: size)) }
      func sizes(_ sort: String) async throws -> [Int?] {
        try await coordinator.get("/v3/demo/os-snapshot-manage?host=n1@ssd&\(sort)")["manageable-snapshots"].array
          .map { $0["size"].int }
      }
      #expect(try await sizes("sort=size:asc") == [1, 2, 3])
      #expect(try await sizes("sort_key=size") == [3, 2, 1])
      #expect(try await sizes("sort=size&limit=1") == [3])
      #expect(try await sizes("sort=reference:desc,size:asc").count == 3)
      for sort in ["sort=color", "sort=size:up", "sort=:"] {
        #expect(try await coordinator.get("/v3/demo/os-snapshot-manage?host=n1@ssd&\(sort)").status == 400, "\(sort)")
      }
      let (report, api) = (FakeNode("n2").currentReport, coordinator.api)
      try await api.store.write { try $0.observe(report, policy: api.policy, at: api.surroundings.now()) }
      let away = try await coordinator.get("/v3/demo/os-snapshot-manage?host=n2@ssd")
      #expect(away.status == 400 && away.message.contains("n2 does not answer"), "\(away.text)")
    }
  }

  @Test func whatIsNoSnapshotOfTheVolumeIsRefused() async throws {
    let node = FakeNode("n1")
    try await withCoordinator(nodes: [node]) { coordinator in
      let (volume, other) = (try await coordinator.volume("one"), try await coordinator.volume("two"))
      let found = SnapshotID.random()
      node.plant(found, of: other)
      let attempts: [(String, Int)] = [
        (#"{"snapshot": {"volume_id": "\#(volume)", "ref": {"source-name": "snapshot-\#(found)"}}}"#, 400),
        (#"{"snapshot": {"volume_id": "\#(VolumeID.random())", "ref": {"source-id": "\#(found)"}}}"#, 404),
        (#"{"snapshot": {"volume_id": "\#(other)", "ref": {"source-name": "x"}}}"#, 400),
        (#"{"snapshot": {"volume_id": "\#(other)", "ref": {}}}"#, 400),
        (#"{"snapshot": {"volume_id": "\#(other)"}}"#, 400),
        (#"{"snapshot": {"ref": {"source-id": "\#(found)"}}}"#, 400),
        (#"{"snapshot": {"volume_id": "\#(other)", "ref": {"source-id": "\#(found)"}, "host": "n1"}}"#, 400),
      ]
      for (body, status) in attempts {
        let answer = try await coordinator.send(.post, "/v3/demo/os-snapshot-manage", body)
        #expect(answer.status == status, "\(body): \(answer.text)")
      }
      _ = try await coordinator.send(.put, "/v3/demo/os-quota-sets/demo", #"{"quota_set": {"snapshots": 0}}"#)
      #expect(try await manage(found, of: other, by: coordinator).status == 413)
      #expect(coordinator.tables.snapshots.isEmpty)
    }
  }

  @Test func whatIsReadOrPartOfAGroupStays() async throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let read = try fixture.snapshot(of: volume)
    _ = try fixture.copy(.snapshot(read.id))
    #expect(throws: StorageError.self) { try fixture.tables.unmanageSnapshot(read.id, of: nil, at: .start) }
    let target = try fixture.snapshot(of: try fixture.volume("other"))
    try fixture.tables.revertVolume(target.volume, of: nil, to: target.id, at: .start)
    #expect(throws: StorageError.self) { try fixture.tables.unmanageSnapshot(target.id, of: nil, at: .start) }

    try await withCoordinator { (coordinator) async throws in
      let group = try await coordinator.group()
      try await coordinator.volumeInside(group)
      _ = try await coordinator.snapshot(ofGroup: group)
      try await coordinator.until("it is taken") { $0.snapshots.values.allSatisfy { $0.state == .available } }
      let member = try #require(coordinator.tables.snapshots.keys.first)
      let refused = try await unmanage(member, by: coordinator)
      #expect(refused.status == 400 && refused.message.contains("Group snapshot"), "\(refused.text)")
    }
  }

  @Test func whatIsAboutToGoIsNotTakenIn() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    func stored(on pool: String = "ssd", revision: Revision? = 1) -> Inventory.StoredSnapshot {
      .init(
        id: snapshot.id, volume: volume.id, backend: "ssd", pool: pool, size: volume.size, revision: revision)
    }
    let before = fixture.tables
    try fixture.tables.unmanageSnapshot(snapshot.id, of: "demo", at: .start)
    let free = fixture.tables
    #expect(free.obstacle(to: stored(), on: "n1") == nil)
    #expect(free.obstacle(to: stored(revision: nil), on: "n1")?.contains("too old") == true)
    #expect(free.obstacle(to: stored(on: "hdd"), on: "n1")?.contains("not on n1@ssd#hdd") == true)
    #expect(free.obstacle(to: stored(), on: "n2")?.contains("not on n2@ssd#ssd") == true)

    fixture.tables.leave(Residue(of: snapshot, on: snapshot.pool))
    #expect(fixture.tables.obstacle(to: stored(), on: "n1") == "It is about to be erased.")
    fixture.tables = before
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    #expect(fixture.tables.obstacle(to: stored(), on: "n1") == "It is being deleted.")
    try fixture.tables.confirmErased(try fixture.row(snapshot), wiped: 1, at: .start)
    #expect(fixture.tables.obstacle(to: stored(), on: "n1")?.contains("about to be erased") == true)
    fixture.tables = free
    try fixture.tables.extendVolume(volume.id, of: nil, to: .gibibytes(11), at: .start)
    #expect(fixture.tables.obstacle(to: stored(), on: "n1")?.contains("extending") == true)
    let leftVolume = Inventory.StoredVolume(
      id: .random(), backend: "ssd", pool: "ssd", size: .gibibytes(1), revision: 1)
    let inventory = Inventory(volumes: [leftVolume])
    #expect(fixture.tables.obstacle(to: leftVolume, on: "n1", inventory) == nil)
    fixture.tables.leave(
      Residue(Residue.Key(volume: leftVolume.id, pool: PoolName(leftVolume, on: "n1")), revision: 3))
    #expect(fixture.tables.obstacle(to: leftVolume, on: "n1", inventory) == "It is about to be erased.")
  }
}
