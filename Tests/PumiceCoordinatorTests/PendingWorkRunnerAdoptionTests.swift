import HTTPTypes
import HashTreeCollections
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceCoordinator

/// What is done with a volume in use whose files change: its users go over, and the call goes on.
@Suite struct PendingWorkRunnerAdoptionTests {
  private static let vm = Instance(id: .random(), name: "vm", status: .active)

  /// A volume on node n1, attached to an instance of node c1.
  private func attached(
    _ check: @escaping @Sendable (CoordinatorFixture, VolumeID, AttachmentID) async throws -> Void
  ) async throws {
    try await withCoordinator(
      nodes: [FakeNode("n1"), FakeNode("c1", poolSize: .zero, instances: [Self.vm])]
    ) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      _ = try await coordinator.send(
        .post, "/compute/v2.1/servers/\(Self.vm.id)/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#)
      try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }
      let attachment = try #require(coordinator.tables.holders(of: volume).first?.id)
      try await check(coordinator, volume, attachment)
    }
  }

  /// Has a copy made whose calls are answered so.
  private func copy(
    of volume: VolumeID, in coordinator: CoordinatorFixture, upTo state: Volume.State = .available,
    answers: Progress...
  ) async throws -> VolumeID {
    var order = VolumeOrder(project: "demo", size: nil)
    order.source = .volume(volume)
    let (wanted, policy, surroundings) = (order, coordinator.api.policy, coordinator.api.surroundings)
    let (node, answers) = (coordinator.nodes[0], answers)
    let copy = try await coordinator.api.store.write { tables in
      let copy = try tables.createVolume(wanted, policy: policy, at: surroundings.now(), in: surroundings).id
      node.answer(answers, about: copy)
      return copy
    }
    try await coordinator.until("the copy is \(state)") { $0.volumes[copy]?.state == state }
    return copy
  }

  @Test func usersOfTheSourceGoOverBeforeACopyIsMade() async throws {
    try await attached { coordinator, volume, attachment in
      let connects = coordinator.nodes[1].connects.count
      let copy = try await copy(
        of: volume, in: coordinator,
        answers: Progress(done: 0, awaits: 7), Progress(done: 0.5), .complete)
      #expect(
        coordinator.nodes[0].calls.filter { $0.contains("\(copy)") } == [
          "ensure volume \(copy)", "ensure volume \(copy) adopted 7", "ensure volume \(copy)",
        ])
      #expect(coordinator.nodes[1].connects.dropFirst(connects) == [attachment])
    }
  }

  @Test func whatACopyHasKeptApartIsMergedBeforeItIsDone() async throws {
    try await attached { coordinator, volume, attachment in
      let connects = coordinator.nodes[1].connects.count
      let copy = try await copy(
        of: volume, in: coordinator,
        answers: Progress(done: 1, awaits: 8), Progress(done: 1, awaits: 10), Progress(done: 1, awaits: 10), .complete)
      #expect(
        coordinator.nodes[0].calls.filter { $0.contains("\(copy)") } == [
          "ensure volume \(copy)", "ensure volume \(copy) adopted 8", "ensure volume \(copy)",
          "ensure volume \(copy) adopted 10",
        ])
      #expect(coordinator.nodes[1].connects.dropFirst(connects) == [attachment, attachment])
    }
  }

  @Test(arguments: [StorageError.Code.unsupported, .unavailable, .noSpace])
  func aCopyThatIsThereDoesNotWaitForMergesThatCannotBe(_ code: StorageError.Code) async throws {
    try await attached { coordinator, volume, _ in
      coordinator.nodes[1].failConnections(with: StorageError(code, "It is shut off."))
      let copy = try await copy(of: volume, in: coordinator, answers: Progress(done: 1, awaits: 8), .complete)
      let calls = coordinator.nodes[0].calls.filter { $0.contains("\(copy)") }
      let declined = code == .unsupported ? ["ensure volume \(copy) declined 8"] : []
      #expect(calls == ["ensure volume \(copy)"] + declined)
    }
  }

  @Test func aCopyWhoseSourceCannotBePinnedEndsWithTheReason() async throws {
    try await attached { coordinator, volume, _ in
      coordinator.nodes[1].failConnections(with: StorageError(.unsupported, "It is paused over an I/O error."))
      let waiting = Progress(done: 0, awaits: 7)
      let copy = try await copy(of: volume, in: coordinator, upTo: .error, answers: waiting, waiting)
      #expect(coordinator.tables.volumes[copy]?.failure == "It is paused over an I/O error.")
      #expect(coordinator.tables.volumes[volume]?.state == .available)
      #expect(
        coordinator.nodes[0].calls.filter { $0.contains("\(copy)") }.prefix(2) == [
          "ensure volume \(copy)", "ensure volume \(copy) declined 7",
        ])
      try await coordinator.until("what it left is erased") { $0.residues.isEmpty && $0.pending.isEmpty }
    }
  }

  /// Somebody else's merge is in the way, which users decline: the copy's own step comes next.
  @Test func aMergeThatIsDeclinedMakesRoomForTheCopysOwnStep() async throws {
    try await attached { coordinator, volume, _ in
      let (storage, compute) = (coordinator.nodes[0], coordinator.nodes[1])
      compute.failConnections(with: StorageError(.unsupported, "It is shut off."))
      let copy = try await copy(
        of: volume, in: coordinator, answers: Progress(done: 0, awaits: 5), Progress(done: 0.1), .complete)
      #expect(
        storage.calls.filter { $0.contains("\(copy)") } == [
          "ensure volume \(copy)", "ensure volume \(copy) declined 5", "ensure volume \(copy)",
        ])
    }
  }

  /// Another call has had the users go over between the question which files are next and the answer to it.
  @Test(arguments: [StorageError.Code.wrongDevice, .conflict])
  func usersThatHaveGoneOverForSomebodyElseAreNoFailure(_ code: StorageError.Code) async throws {
    try await attached { coordinator, volume, _ in
      let (storage, compute) = (coordinator.nodes[0], coordinator.nodes[1])
      compute.failConnections(with: StorageError(code, "The files are others by now."))
      let copy = try await copy(
        of: volume, in: coordinator, answers: Progress(done: 0, awaits: 5), Progress(done: 0.1), .complete)
      #expect(storage.calls.filter { $0 == "ensure volume \(copy)" }.count == 3)
      #expect(coordinator.tables.volumes[copy]?.retry.attempts == 0)
    }
  }

  @Test func anExtendGoesOnOnceUsersHaveGoneOver() async throws {
    try await attached { coordinator, volume, _ in
      let node = coordinator.nodes[0]
      node.answer([Progress(done: 0, awaits: 3), .complete], about: volume)
      let before = node.calls.count
      let now = coordinator.api.surroundings.now()
      try await coordinator.api.store.write { try $0.extendVolume(volume, of: nil, to: .gibibytes(2), at: now) }
      try await coordinator.until("it has grown") { $0.volumes[volume]?.size == .gibibytes(2) }
      #expect(
        Array(node.calls.dropFirst(before)) == ["ensure volume \(volume)", "ensure volume \(volume) adopted 3"])
    }
  }

  @Test func aSnapshotGoesWithoutAMergeThatUsersDecline() async throws {
    try await attached { coordinator, volume, _ in
      let (storage, surroundings) = (coordinator.nodes[0], coordinator.api.surroundings)
      let snapshot = try await coordinator.snapshot(of: volume, more: #", "force": true"#)
      storage.answer([Progress(done: 0, awaits: 4), .complete], about: snapshot)
      coordinator.nodes[1].failConnections(with: StorageError(.unsupported, "It is shut off."))
      try await coordinator.api.store.write { try $0.deleteSnapshot(snapshot, of: nil, at: surroundings.now()) }
      try await coordinator.until("it is gone") { $0.snapshots[snapshot]?.state == .deleted }
      #expect(
        storage.calls.suffix(2) == ["remove snapshot \(snapshot)", "remove snapshot \(snapshot) declined 4"])
    }
  }
}
