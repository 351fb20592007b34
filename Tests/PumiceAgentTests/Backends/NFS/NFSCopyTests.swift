import Conformance
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// What else happens to a volume on a share while a copy is being made of it that a guest writes to.
@Suite(.timeLimit(.minutes(5))) struct NFSCopyTests {
  private let volume = VolumeID.random()
  private let copies = [VolumeID.random(), VolumeID.random()]
  private let snapshot = SnapshotID.random()
  private let inUse = VolumeUse(ofSource: true)

  @Test func copiesOfOneVolumeAreMadeAtOnceEachOfItsOwnMoment() async throws {
    try await withVolume { fixture, backend, guest in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      for (number, copy) in copies.enumerated() {
        while try fixture.pinned(for: volume)?.contains(copy) != true {
          _ = try await backend.ensure(copy, request, inUse)
          try await guest.goOver(fixture, backend)
        }
        try await guest.write(UInt8(4 + number), fixture)
      }
      #expect(try fixture.description(of: volume)?.layers.count == 3)
      for copy in copies {
        _ = try await backend.ensured(copy, request, inUse)
        try await release(fixture, backend, guest)
      }
      let content = try await fixture.look()
      #expect(content.volumes[copies[0]] == PaintedContent.bytes((2, 8), (6, 1), (8, 0)))
      #expect(content.volumes[copies[1]] == PaintedContent.bytes((2, 4), (6, 1), (8, 0)))
      #expect(content.volumes[volume] == PaintedContent.bytes((2, 5), (6, 1), (8, 0)))
      #expect(try fixture.description(of: volume)?.layers.count == 2, "The guest's layer is never merged under it.")
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// A merge below the pinned layer changes its chain between two slices.
  @Test func aSnapshotIsTakenAndDeletedMeanwhile() async throws {
    try await withVolume { fixture, backend, guest in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      let earlier = SnapshotID.random()
      try await take(earlier, fixture, backend, guest)
      try await guest.write(3, fixture)
      try await pin(copies[0], fixture, backend, guest)
      #expect(try await !backend.ensure(copies[0], request, inUse).isDone)
      try await guest.write(4, fixture)
      try await take(snapshot, fixture, backend, guest)
      try await guest.write(5, fixture)
      try await delete(earlier, fixture, backend, guest)
      _ = try await backend.ensured(copies[0], request, inUse)
      try await release(fixture, backend, guest)
      let content = try await fixture.look()
      #expect(content.volumes[copies[0]] == PaintedContent.bytes((2, 3), (6, 1), (8, 0)))
      #expect(content.snapshots[snapshot] == PaintedContent.bytes((2, 4), (6, 1), (8, 0)))
      #expect(content.volumes[volume] == PaintedContent.bytes((2, 5), (6, 1), (8, 0)))
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// Whoever comes upon the step for a copy that is gone has the users end it: nothing waits for ever.
  @Test func whatIsAwaitedForACopyThatIsGoneIsAwaitedByTheNextCall() async throws {
    try await withVolume { fixture, backend, guest in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      #expect(try await !backend.ensure(copies[0], request, inUse).isDone)
      try await backend.erase(copies[0], pool: fixture.pool)

      var larger = fixture.request(.mebibytes(2), revision: 2)
      larger.description.name = "larger"
      let use = VolumeUse(ofVolume: true)
      guard case .underway(let first) = try await backend.ensure(volume, larger, use),
        case .underway(let second) = try await backend.ensureSnapshot(
          snapshot, fixture.snapshotRequest(of: volume), inUse: true)
      else { throw TestBedFailure("Nobody is awaited.") }
      #expect(first.awaits != nil && first.awaits == second.awaits)
      try await guest.goOver(fixture, backend)
      #expect(try await backend.ensure(volume, larger, use).isDone)
      #expect(try fixture.description(of: volume)?.pins == nil)
      #expect(try await backend.volume(volume)?.size == .mebibytes(2))
    }
  }

  @Test func aSourceThatIsRevertedMeanwhileKeepsWhatIsPinned() async throws {
    try await withVolume { fixture, backend, guest in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      try await take(snapshot, fixture, backend, guest)
      try await guest.write(3, fixture)
      try await pin(copies[0], fixture, backend, guest)
      try await guest.write(4, fixture)
      #expect(try await !backend.ensure(copies[0], request).isDone)
      _ = try await backend.reverted(volume, fixture.revertRequest(7, to: snapshot))
      #expect(try await !backend.ensure(copies[0], request).isDone)
      try await guest.open(backend, fixture)
      try await guest.write(5, fixture)
      _ = try await backend.ensured(copies[0], request, inUse)
      try await release(fixture, backend, guest)
      let content = try await fixture.look()
      #expect(content.volumes[copies[0]] == PaintedContent.bytes((2, 3), (6, 1), (8, 0)))
      #expect(content.snapshots[snapshot] == PaintedContent.bytes((2, 8), (6, 1), (8, 0)))
      #expect(content.volumes[volume] == PaintedContent.bytes((2, 5), (6, 1), (8, 0)))
      try await fixture.audit(backend, isSettled: true)
    }
  }

  @Test func aSourceIsNotRemovedWhileACopyNeedsItAndIsOnceThatHasGone() async throws {
    try await withVolume { fixture, backend, guest in
      try await pin(copies[0], fixture, backend, guest)
      let error = await #expect(throws: StorageError.self) {
        _ = try await backend.remove(volume, pool: fixture.pool)
      }
      #expect(error?.code == .inUse)
      #expect(error?.message.contains("\(copies[0])") == true)
      try await backend.erase(copies[0], pool: fixture.pool)
      try await backend.erase(volume, pool: fixture.pool)
      #expect(try fixture.files().isEmpty)
    }
  }

  /// A copy that was begun while nobody used its source is of one moment all the same.
  @Test func aSourceThatIsAttachedMeanwhileIsCopiedAnew() async throws {
    try await withVolume { fixture, backend, guest in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      for _ in 0..<2 { #expect(try await !backend.ensure(copies[0], request).isDone) }
      try await guest.open(backend, fixture)
      try await guest.write(3, fixture)
      try await pin(copies[0], fixture, backend, guest)
      try await guest.write(4, fixture)
      _ = try await backend.ensured(copies[0], request, inUse)
      try await release(fixture, backend, guest)
      let content = try await fixture.look()
      #expect(content.volumes[copies[0]] == PaintedContent.bytes((2, 3), (6, 1), (8, 0)))
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// The instance is shut off, say: the copy is there, and the next one's end merges for both.
  @Test func aMergeThatIsDeclinedIsMadeUpForLater() async throws {
    try await withVolume { fixture, backend, guest in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      for copy in copies {
        try await pin(copy, fixture, backend, guest)
        _ = try await backend.ensured(copy, request, inUse)
        while let generation = try await backend.release(volume, pool: fixture.pool, inUse: true).awaits {
          if copy == copies[0] { throw TestBedFailure("There is nothing to merge yet but the guest's layer.") }
          try await backend.decline(volume, pool: fixture.pool, generation: generation)
          break
        }
      }
      #expect(try fixture.description(of: volume)?.layers.count == 3)
      #expect(try fixture.description(of: volume)?.pins == nil)
      try await release(fixture, backend, guest)
      #expect(try fixture.description(of: volume)?.layers.count == 2)
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// A snapshot goes although a merge for another is on its way to users who can't make it.
  @Test func aSnapshotThatUsersCannotMergeIsGoneAllTheSame() async throws {
    try await withVolume { fixture, backend, guest in
      let others = [SnapshotID.random(), SnapshotID.random()]
      for id in [snapshot] + others { try await take(id, fixture, backend, guest) }
      let merging = try await backend.removeSnapshot(snapshot, of: volume, pool: fixture.pool, inUse: true)
      let waiting = try await backend.removeSnapshot(others[0], of: volume, pool: fixture.pool, inUse: true)
      let generation = try #require(waiting.awaits)
      #expect(merging.awaits == generation)
      try await backend.decline(volume, pool: fixture.pool, generation: generation)
      #expect(
        try await backend.removeSnapshot(others[0], of: volume, pool: fixture.pool, inUse: true, mayAsk: false)
          .isComplete)
      #expect(try await backend.snapshots().map(\.id) == [others[1]])
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// A merge was made, and the instance was shut off before anybody heard of it: its configuration may still name the layer.
  @Test func aLayerThatWasMergedStaysUntilItsUsersKnow() async throws {
    try await withVolume { fixture, backend, guest in
      for id in [snapshot, SnapshotID.random()] { try await take(id, fixture, backend, guest) }
      let waiting = try await backend.removeSnapshot(snapshot, of: volume, pool: fixture.pool, inUse: true)
      let generation = try #require(waiting.awaits)
      let before = try await backend.image(of: volume, pool: fixture.pool, inUse: true)
      #expect(before.next?.count == 2 && before.isMerged == nil)
      try await fixture.merge(volume)
      #expect(try await backend.image(of: volume, pool: fixture.pool, inUse: true).isMerged == true)
      let error = await #expect(throws: StorageError.self) {
        try await backend.decline(volume, pool: fixture.pool, generation: generation)
      }
      #expect(error?.code == .unavailable)
      #expect(try await backend.image(of: volume, pool: fixture.pool, inUse: true).layers == before.layers)
      try await backend.adopt(volume, pool: fixture.pool, generation: generation)
      let after = try await backend.image(of: volume, pool: fixture.pool, inUse: true)
      #expect(after.layers == before.next && after.next == nil && after.isMerged == nil)
      #expect(try await backend.removeSnapshot(snapshot, of: volume, pool: fixture.pool, inUse: true).isComplete)
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// The server is away for longer than anybody waits: what was copied by then is not copied again.
  @Test func aCopyThatLosesItsServerGoesOnFromWhereItStood() async throws {
    try await withVolume { fixture, backend, guest in
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      try await pin(copies[0], fixture, backend, guest)
      guard case .underway(let before) = try await backend.ensure(copies[0], request, inUse) else {
        throw TestBedFailure("The copy is whole after one slice.")
      }
      let file = try fixture.description(of: copies[0])?.active
      try await fixture.server.kill9()
      let error = await #expect(throws: StorageError.self) {
        _ = try await backend.ensure(copies[0], request, inUse)
      }
      #expect([.unavailable, .timeout].contains(error?.code))
      try await fixture.server.start()
      try await eventually("the server is back", within: .seconds(60)) {
        (try? await backend.volume(volume)) != nil
      }
      guard case .underway(let after) = try await backend.ensure(copies[0], request, inUse) else {
        throw TestBedFailure("The copy is whole after two slices.")
      }
      #expect(after.done > before.done)
      #expect(try fixture.description(of: copies[0])?.active == file)
      _ = try await backend.ensured(copies[0], request, inUse)
      #expect(try await fixture.look().volumes[copies[0]] == PaintedContent.bytes((2, 8), (6, 1), (8, 0)))
    }
  }

  // MARK: Parts

  /// With a guest that has it open and has written 8s. Copies take several slices.
  private func withVolume(
    _ body: (NFSFixture, NFSBackend, PaintingGuest) async throws -> Void
  ) async throws {
    let settings = ShareVolumes.Settings(slice: .zero, window: 256 << 10)
    try await NFSFixture.with(settings: settings, isInMemory: true) { fixture in
      let backend = try await fixture.open()
      _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
      try await fixture.paint(1, 0..<8, of: volume, by: backend)
      let guest = PaintingGuest(volume)
      try await guest.open(backend, fixture)
      try await guest.write(8, fixture)
      try await body(fixture, backend, guest)
    }
  }

  private func pin(
    _ copy: VolumeID, _ fixture: NFSFixture, _ backend: NFSBackend, _ guest: PaintingGuest
  ) async throws {
    guard
      case .underway(let progress) = try await backend.ensure(
        copy, fixture.request(.mebibytes(1), source: .volume(volume)), inUse), progress.awaits != nil
    else { throw TestBedFailure("Nobody is awaited for \(copy).") }
    try await guest.goOver(fixture, backend)
    #expect(try fixture.pinned(for: volume)?.contains(copy) == true)
  }

  private func take(
    _ id: SnapshotID, _ fixture: NFSFixture, _ backend: NFSBackend, _ guest: PaintingGuest
  ) async throws {
    while try await !backend.ensureSnapshot(id, fixture.snapshotRequest(of: volume), inUse: true).isDone {
      try await guest.goOver(fixture, backend)
    }
  }

  private func delete(
    _ id: SnapshotID, _ fixture: NFSFixture, _ backend: NFSBackend, _ guest: PaintingGuest
  ) async throws {
    while try await !backend.removeSnapshot(id, of: volume, pool: fixture.pool, inUse: true).isComplete {
      try await guest.goOver(fixture, backend)
    }
  }

  private func release(_ fixture: NFSFixture, _ backend: NFSBackend, _ guest: PaintingGuest) async throws {
    while try await !backend.release(volume, pool: fixture.pool, inUse: true).isComplete {
      try await guest.goOver(fixture, backend)
    }
  }
}

extension NFSFixture {
  fileprivate func pinned(for volume: VolumeID) throws -> [VolumeID]? {
    try description(of: volume)?.pins?.map(\.copy)
  }
}
