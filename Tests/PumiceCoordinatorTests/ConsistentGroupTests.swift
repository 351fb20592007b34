import HTTPTypes
import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceCoordinator

@Suite struct ConsistentGroupTests {
  private static let vm = Instance(id: .random(), name: "vm", status: .active)
  private static let other = Instance(id: .random(), name: "other", status: .active)

  /// A group of two volumes that must be kept at one moment, attached as told.
  private func withGroup(
    attachedTo instances: [Instance?] = [vm, vm],
    _ body: @escaping @Sendable (CoordinatorFixture, _ group: String, [VolumeID]) async throws -> Void
  ) async throws {
    try await withCoordinator(nodes: [FakeNode("n1", instances: [Self.vm, Self.other])]) { coordinator in
      let group = try await coordinator.group(#"{"consistent_group_snapshot_enabled": "<is> True"}"#)
      var volumes: [VolumeID] = []
      for instance in instances {
        let volume = try await coordinator.volumeInside(group)
        volumes.append(volume)
        guard let instance else { continue }
        _ = try await coordinator.send(
          .post, "/compute/v2.1/servers/\(instance.id)/os-volume_attachments",
          #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#, headers: ["X-Project-Id": "demo"])
        try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }
      }
      try await body(coordinator, group, volumes)
    }
  }

  private func status(_ id: String, _ coordinator: CoordinatorFixture) async throws -> String? {
    try await coordinator.get("/v3/demo/group_snapshots/\(id)", version: "3.70")["group_snapshot"]["status"].string
  }

  /// Takes a group snapshot, and returns its id when it is not being taken any more.
  private func take(_ group: String, _ coordinator: CoordinatorFixture) async throws -> String {
    let answer = try await coordinator.snapshot(ofGroup: group)
    let id = try #require(answer["group_snapshot"]["id"].string, "\(answer.text)")
    try await coordinator.until("it is taken or not") { tables in
      tables.groupSnapshots.values.allSatisfy { $0.state != .taking }
        && tables.snapshots.values.allSatisfy { $0.state != .creating }
    }
    return id
  }

  @Test func oneHoldOfTheGuestCoversAllSnapshots() async throws {
    try await withGroup { coordinator, group, volumes in
      let id = try await take(group, coordinator)
      #expect(try await status(id, coordinator) == "available")
      let calls = coordinator.nodes[0].calls.filter { !$0.hasPrefix("ensure volume") }
      #expect(calls.first == "freeze \(id) for 10" && calls.last == "thaw \(id)")
      #expect(calls.count == 4 && calls[1].hasPrefix("ensure snapshot") && calls[2].hasPrefix("ensure snapshot"))
      let members = coordinator.tables.snapshots.values
      #expect(members.allSatisfy { $0.consistency == .quiesced })
      #expect(Set(coordinator.nodes[0].snapshots.values) == Set(volumes))
    }
  }

  @Test func aLongerSnapshotIsWaitedForWithinTheHold() async throws {
    try await withGroup { coordinator, group, _ in
      coordinator.nodes[0].setSlices(copy: 2)
      let id = try await take(group, coordinator)
      #expect(try await status(id, coordinator) == "available")
      #expect(coordinator.nodes[0].calls.last == "thaw \(id)")
    }
  }

  @Test func volumesThatNobodyHasNeedNoGuest() async throws {
    try await withGroup(attachedTo: [nil, nil]) { coordinator, group, _ in
      let id = try await take(group, coordinator)
      #expect(try await status(id, coordinator) == "available")
      #expect(!coordinator.nodes[0].calls.contains { $0.hasPrefix("freeze") })
      #expect(coordinator.tables.snapshots.values.allSatisfy { $0.consistency == nil })
    }
  }

  @Test func oneThatIsAttachedIsKeptWithOneThatIsNot() async throws {
    try await withGroup(attachedTo: [Self.vm, nil]) { coordinator, group, volumes in
      let id = try await take(group, coordinator)
      #expect(try await status(id, coordinator) == "available")
      let members = coordinator.tables.snapshots.values
      #expect(members.first { $0.volume == volumes[0] }?.consistency == .quiesced)
      #expect(members.first { $0.volume == volumes[1] }?.consistency == nil)
    }
  }

  @Test func severalInstancesHaveNoOneMoment() async throws {
    try await withGroup(attachedTo: [Self.vm, Self.other]) { coordinator, group, _ in
      let answer = try await coordinator.snapshot(ofGroup: group)
      #expect(answer.status == 400 && answer.message.contains("2 instances"))
      #expect(coordinator.tables.snapshots.isEmpty && coordinator.tables.groupSnapshots.isEmpty)
    }
  }

  @Test func whatIsNotOfOneMomentIsNotKept() async throws {
    let plans: [(@Sendable (FakeNode) -> Void, String)] = [
      ({ $0.setGuests(FreezeAnswer(frozen: false, reason: "No guest agent.")) }, "No guest agent."),
      ({ $0.setGuests(failure: StorageError(.timeout, "The node does not answer.")) }, "does not answer"),
      ({ $0.setGuests(holdStill: false) }, "went on before"),
      ({ $0.failVolumes(with: StorageError(.noSpace, "The pool is full.")) }, "The pool is full."),
    ]
    for (prepare, reason) in plans {
      try await withGroup { coordinator, group, _ in
        prepare(coordinator.nodes[0])
        let id = try await take(group, coordinator)
        #expect(try await status(id, coordinator) == "error", "\(reason)")
        let members = coordinator.tables.snapshots.values
        #expect(members.allSatisfy { $0.state == .error && $0.failure?.contains(reason) == true }, "\(reason)")
        #expect(coordinator.tables.messages.count == 2)
        coordinator.nodes[0].failVolumes(with: nil)
        try await coordinator.until("nothing is left of it") { _ in coordinator.nodes[0].snapshots.isEmpty }
        #expect(
          try await coordinator.send(.delete, "/v3/demo/group_snapshots/\(id)", version: "3.70").status == 202)
        try await coordinator.until("all is done") { $0.pending.isEmpty }
        #expect(coordinator.tables.snapshots.values.allSatisfy { $0.state == .deleted })
      }
    }
  }

  /// As after a crash of the coordinator while the nodes were asked.
  @Test func anInterruptedTryIsNotGoneOnWith() async throws {
    try await withCoordinator(nodes: [FakeNode("n1", instances: [Self.vm])], isReconciled: false) { coordinator in
      let (policy, surroundings) = (coordinator.api.policy, coordinator.api.surroundings)
      let snapshot = try await coordinator.api.store.write { tables in
        let now = surroundings.now()
        let volume = try tables.createVolume(
          VolumeOrder(project: "demo", size: .gibibytes(1)), policy: policy, at: now, in: surroundings)
        try tables.confirm(volume, at: now)
        var attachment = try tables.attach(
          volume.id, to: Self.vm.id, device: nil, of: nil, at: now, in: surroundings)
        try attachment.confirm(device: "vdb", at: now)
        tables.put(attachment)
        _ = try tables.createGroupType(
          name: "g", summary: "", isPublic: true, specs: [GroupType.consistency: "<is> True"], at: now,
          in: surroundings)
        let group = try tables.createGroup(
          GroupOrder(project: "demo", type: "g", volumeTypes: [VolumeType.defaultName]), at: now, in: surroundings)
        try tables.editGroup(group.id, of: nil, GroupChange(added: [volume.id]))
        let snapshot = try tables.createGroupSnapshot(
          of: group.id, of: nil, user: "", name: "", summary: "", policy: policy, at: now, in: surroundings)
        try tables.begin(snapshot)
        return snapshot
      }
      #expect(coordinator.tables.pending.contains(.groupSnapshot(snapshot.id)))
      let runner = PendingWorkRunner(
        store: coordinator.api.store, directory: FakeFleet(nodes: coordinator.nodes), policy: policy,
        surroundings: surroundings, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      await runner.perform(.groupSnapshot(snapshot.id))
      #expect(coordinator.tables.groupSnapshots[snapshot.id]?.failure?.contains("interrupted") == true)
      #expect(coordinator.tables.snapshots.values.allSatisfy { $0.state == .error })
      #expect(!coordinator.nodes[0].calls.contains { $0.hasPrefix("freeze") })
      #expect(!coordinator.tables.pending.contains(.groupSnapshot(snapshot.id)))
    }
  }
}
