import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// What is done about snapshots and copies when nodes take their time, or fail.
@Suite struct PendingWorkRunnerTests {
  private func snapshot(
    of volume: VolumeID, in coordinator: CoordinatorFixture, upTo state: Snapshot.State = .available
  ) async throws -> SnapshotID {
    let surroundings = coordinator.api.surroundings
    let snapshot = try await coordinator.api.store.write {
      try $0.createSnapshot(SnapshotOrder(of: volume), of: nil, at: surroundings.now(), in: surroundings)
    }
    try await coordinator.until("the snapshot is \(state)") { $0.snapshots[snapshot.id]?.state == state }
    return snapshot.id
  }

  private func copy(_ source: VolumeOrder.Source, in coordinator: CoordinatorFixture) async throws -> VolumeID {
    var order = VolumeOrder(project: "demo", size: nil)
    order.source = source
    let (wanted, policy, surroundings) = (order, coordinator.api.policy, coordinator.api.surroundings)
    return try await coordinator.api.store.write {
      try $0.createVolume(wanted, policy: policy, at: surroundings.now(), in: surroundings).id
    }
  }

  @Test func longWorkIsAskedForUntilItIsDone() async throws {
    try await withCoordinator { (coordinator) async throws in
      let node = coordinator.nodes[0]
      let volume = try await coordinator.volume()
      node.setSlices(copy: 2, wipe: 2)
      let snapshot = try await snapshot(of: volume, in: coordinator)
      #expect(node.calls.filter { $0 == "ensure snapshot \(snapshot)" }.count == 3)
      let copy = try await copy(.snapshot(snapshot), in: coordinator)
      try await coordinator.until("half of it is made") { $0.volumes[copy]?.retry.progress == 0.5 }
      try await coordinator.until("it is made") { $0.volumes[copy]?.state == .available }
      let now = coordinator.api.surroundings.now()
      try await coordinator.api.store.write { try $0.revertVolume(volume, of: nil, to: snapshot, at: now) }
      try await coordinator.until("it is reverted") { $0.volumes[volume]?.state == .available }
      #expect(node.calls.filter { $0 == "revert volume \(volume) to \(snapshot)" }.count == 3)
      try await coordinator.api.store.write { try $0.deleteVolume(volume, of: nil, cascades: true, at: now) }
      try await coordinator.until("all is gone") { $0.volumes[volume]?.state == .deleted }
      try await coordinator.until("all is wiped") { $0.residues.isEmpty && $0.pending.isEmpty }
      #expect(node.calls.filter { $0 == "remove snapshot \(snapshot)" }.count == 3)
      #expect(node.calls.filter { $0 == "remove volume \(volume)" }.count == 3)
      #expect(node.volumes.keys.sorted() == [copy])
      #expect(node.snapshots.isEmpty)
    }
  }

  @Test func aVolumeIsNotAskedToGoBeforeItsLastSnapshotHasGone() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      for _ in 0..<3 { _ = try await snapshot(of: volume, in: coordinator) }
      let now = coordinator.api.surroundings.now()
      try await coordinator.api.store.write { try $0.deleteVolume(volume, of: nil, cascades: true, at: now) }
      try await coordinator.until("it is gone") { $0.volumes[volume]?.state == .deleted }
      let removals = coordinator.nodes[0].calls.filter { $0.hasPrefix("remove") }
      #expect(removals.count == 4)
      #expect(removals.last == "remove volume \(volume)")
    }
  }

  @Test func aFailedSnapshotSaysWhyAndWhatItLeftIsErased() async throws {
    try await withCoordinator { (coordinator) async throws in
      let node = coordinator.nodes[0]
      let volume = try await coordinator.volume()
      node.failVolumes(with: StorageError(.unsupported, "Not while it is in use."))
      let snapshot = try await snapshot(of: volume, in: coordinator, upTo: .error)
      #expect(coordinator.tables.snapshots[snapshot]?.failure == "Not while it is in use.")
      try await coordinator.until("nothing is left to do") { $0.pending.isEmpty }
      #expect(node.calls.contains("remove snapshot \(snapshot)"))
    }
  }

  @Test func aCopyWhoseSourceIsGoneFromTheNodeEndsWithTheReason() async throws {
    try await withCoordinator(nodes: [FakeNode("n1"), FakeNode("n2")]) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let snapshot = try await snapshot(of: volume, in: coordinator)
      for node in coordinator.nodes { node.plant(snapshot, of: nil) }
      let copy = try await copy(.snapshot(snapshot), in: coordinator)
      try await coordinator.until("it has failed") { $0.volumes[copy]?.state == .error }
      #expect(coordinator.tables.volumes[copy]?.failure == "No such snapshot.")
      #expect(coordinator.tables.volumes[copy]?.triedPools.count == 1)
    }
  }

  @Test func aRevertThatIsRefusedEndsWithTheOldContentAfterThePoolHasHeardOfThat() async throws {
    try await withCoordinator { (coordinator) async throws in
      let node = coordinator.nodes[0]
      let volume = try await coordinator.volume()
      let snapshot = try await snapshot(of: volume, in: coordinator)
      node.failReverts(with: StorageError(.noSpace, "The pool is full."))
      let before = node.calls.count
      let now = coordinator.api.surroundings.now()
      try await coordinator.api.store.write { try $0.revertVolume(volume, of: nil, to: snapshot, at: now) }
      try await coordinator.until("it is available") { $0.volumes[volume]?.state == .available }
      #expect(node.calls.dropFirst(before).contains("ensure volume \(volume)"))
      #expect(coordinator.tables.messages(about: volume).first?.text.contains("The pool is full.") == true)
    }
  }

  @Test func aRevertThatThePoolCannotLeaveIsWaitedForAfterItWasGivenUp() async throws {
    try await withCoordinator { (coordinator) async throws in
      let node = coordinator.nodes[0]
      let volume = try await coordinator.volume()
      let snapshot = try await snapshot(of: volume, in: coordinator)
      node.failReverts(with: StorageError(.unsupported, "It lost its way."))
      node.setSlices(ensure: 3)
      let before = node.calls.count
      let now = coordinator.api.surroundings.now()
      try await coordinator.api.store.write { try $0.revertVolume(volume, of: nil, to: snapshot, at: now) }
      try await coordinator.until("the pool is underway") { ($0.volumes[volume]?.retry.progress ?? 0) > 0 }
      #expect(coordinator.tables.volumes[volume]?.state == .reverting)
      try await coordinator.until("it is available") { $0.volumes[volume]?.state == .available }
      #expect(node.calls.dropFirst(before).filter { $0 == "ensure volume \(volume)" }.count == 4)
    }
  }

  @Test func aVolumeThatVanishedIsNotMadeAnewByAnExtend() async throws {
    try await withCoordinator { (coordinator) async throws in
      let node = coordinator.nodes[0]
      let volume = try await coordinator.volume()
      node.forget(volume)
      let now = coordinator.api.surroundings.now()
      try await coordinator.api.store.write { try $0.extendVolume(volume, of: nil, to: .gibibytes(2), at: now) }
      try await coordinator.until("it has failed") { $0.volumes[volume]?.state == .errorExtending }
      #expect(node.volumes.isEmpty)
    }
  }
}
