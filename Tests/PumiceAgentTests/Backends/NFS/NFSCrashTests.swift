import Conformance
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// An agent whose power goes between any two requests to the server, and the one that starts afterwards.
@Suite(.serialized, .timeLimit(.minutes(10))) struct NFSCrashTests {
  typealias Deed = (NFSFixture, NFSBackend) async throws -> Void

  let volume = VolumeID.random()
  let copy = VolumeID.random()
  let first = SnapshotID.random()
  let second = SnapshotID.random()
  let third = SnapshotID.random()

  // MARK: Volumes

  @Test(arguments: [SharedImage.Format.raw, .qcow2]) func aVolumeIsMadeOrNotAtAll(_ format: SharedImage.Format)
    async throws
  {
    try await everywhere(format, atLeast: 7) { _, _ in
    } dying: { fixture, backend in
      _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
    } from: { _ in
    } to: {
      $0.volumes[volume] = [UInt8](repeating: 0, count: 16)
    }
  }

  @Test func aCopyOfASnapshotIsMadeOrNotAtAll() async throws {
    try await everywhere(atLeast: 8, after: chain) { fixture, backend in
      _ = try await backend.ensured(copy, fixture.request(.mebibytes(2), source: .snapshot(second, of: volume)))
    } from: {
      contentOfChain(&$0)
    } to: {
      $0.volumes[copy] = PaintedContent.bytes((4, 1), (4, 2), (24, 0))
    }
  }

  @Test func aCopyOfAVolumeIsMadeOrNotAtAll() async throws {
    try await everywhere(atLeast: 8, after: chain) { fixture, backend in
      _ = try await backend.ensured(copy, fixture.request(.mebibytes(1), source: .volume(volume)))
    } from: {
      contentOfChain(&$0)
    } to: {
      $0.volumes[copy] = $0.volumes[volume]
    }
  }

  @Test(arguments: [false, true]) func growthLosesNothing(_ isOfAnOverlay: Bool) async throws {
    try await everywhere(atLeast: 2) { fixture, backend in
      try await make(fixture, backend)
      if isOfAnOverlay { _ = try await backend.snapshotted(first, fixture.snapshotRequest(of: volume)) }
    } dying: { fixture, backend in
      _ = try await backend.ensured(volume, fixture.request(.mebibytes(2), revision: 2))
    } from: {
      $0.volumes[volume] = PaintedContent.bytes((8, 1), (8, 0))
      if isOfAnOverlay { $0.snapshots[first] = $0.volumes[volume] }
    } to: {
      $0.volumes[volume] = PaintedContent.bytes((8, 1), (24, 0))
    }
  }

  @Test func aVolumeIsErasedOrThere() async throws {
    try await everywhere(atLeast: 4) { fixture, backend in
      try await make(fixture, backend)
      _ = try await backend.snapshotted(first, fixture.snapshotRequest(of: volume))
      try await fixture.paint(2, 4..<8, of: volume, by: backend)
      // The snapshot goes and its layer stays.
      _ = try await backend.removeSnapshot(first, of: volume, pool: fixture.pool, inUse: true)
    } dying: { fixture, backend in
      try await backend.erase(volume, pool: fixture.pool)
    } from: {
      $0.volumes[volume] = PaintedContent.bytes((4, 1), (4, 2), (8, 0))
    } to: {
      $0.volumes[volume] = nil
    }
  }

  // MARK: Snapshots

  @Test(arguments: [false, true]) func aSnapshotIsTakenOrNotAtAll(_ isInUse: Bool) async throws {
    try await everywhere(inUse: isInUse, atLeast: 10) { fixture, backend in
      try await make(fixture, backend)
    } dying: { fixture, backend in
      _ = try await backend.snapshotted(first, fixture.snapshotRequest(of: volume), inUse: isInUse)
    } from: {
      $0.volumes[volume] = PaintedContent.bytes((8, 1), (8, 0))
    } to: {
      $0.snapshots[first] = $0.volumes[volume]
    }
  }

  @Test func aSnapshotWhoseUserGoesAwayIsTaken() async throws {
    try await everywhere(atLeast: 10) { fixture, backend in
      try await make(fixture, backend)
    } dying: { fixture, backend in
      // It has gone over, and what it writes is not the snapshot's.
      _ = try await backend.ensureSnapshot(first, fixture.snapshotRequest(of: volume), inUse: true)
      if let step = try fixture.description(of: volume)?.step { try await fixture.paint(9, 0..<2, step.layer, .qcow2) }
      _ = try await backend.snapshotted(first, fixture.snapshotRequest(of: volume))
    } from: {
      $0.volumes[volume] = PaintedContent.bytes((8, 1), (8, 0))
    } to: {
      $0.snapshots[first] = $0.volumes[volume]
      $0.volumes[volume] = PaintedContent.bytes((2, 9), (6, 1), (8, 0))
    }
  }

  @Test func aRevertIsDoneOrNotAtAll() async throws {
    try await everywhere(atLeast: 12, after: chain) { fixture, backend in
      _ = try await backend.reverted(volume, fixture.revertRequest(7, to: first))
    } from: {
      contentOfChain(&$0)
    } to: {
      $0.volumes[volume] = $0.snapshots[first]
    }
  }

  // MARK: Merges

  /// The layer of the first snapshot is a raw file.
  @Test func nobodySeesAMergeIntoARawFile() async throws {
    try await everywhere(atLeast: 16, after: chain) { fixture, backend in
      try await backend.erase(first, of: volume, pool: fixture.pool)
    } from: {
      contentOfChain(&$0)
    } to: {
      $0.snapshots[first] = nil
    }
  }

  @Test func nobodySeesAMergeOfTwoOverlaysBelowOthers() async throws {
    try await everywhere(atLeast: 16, after: chain) { fixture, backend in
      try await backend.erase(second, of: volume, pool: fixture.pool)
    } from: {
      contentOfChain(&$0)
    } to: {
      $0.snapshots[second] = nil
    }
  }

  @Test func nobodySeesAMergeOfTheActiveLayer() async throws {
    try await everywhere(atLeast: 16, after: chain) { fixture, backend in
      try await backend.erase(third, of: volume, pool: fixture.pool)
    } from: {
      contentOfChain(&$0)
    } to: {
      $0.snapshots[third] = nil
    }
  }

  @Test func nobodySeesAMergeBelowABranch() async throws {
    try await everywhere(atLeast: 16, after: branches) { fixture, backend in
      try await backend.erase(first, of: volume, pool: fixture.pool)
    } from: {
      contentOfBranches(&$0)
    } to: {
      $0.snapshots[first] = nil
    }
  }

  @Test(arguments: [false, true]) func nobodySeesAMergeByQEMU(_ isBelowABranch: Bool) async throws {
    try await everywhere(inUse: true, atLeast: 14, after: isBelowABranch ? branches : chain) { fixture, backend in
      try await removeInUse(first, fixture, backend)
    } from: {
      isBelowABranch ? contentOfBranches(&$0) : contentOfChain(&$0)
    } to: {
      $0.snapshots[first] = nil
    }
  }

  @Test func nobodySeesAMergeOfTwoOverlaysByQEMU() async throws {
    try await everywhere(inUse: true, atLeast: 14, after: chain) { fixture, backend in
      try await removeInUse(second, fixture, backend)
    } from: {
      contentOfChain(&$0)
    } to: {
      $0.snapshots[second] = nil
    }
  }

  /// The guest is shut down while its QEMU merges.
  @Test(arguments: NFSFixture.MergeEnd.allCases) func aMergeWhoseUserGoesAwayIsEnded(_ end: NFSFixture.MergeEnd)
    async throws
  {
    try await everywhere(atLeast: 16, after: branches) { fixture, backend in
      let progress = try await backend.removeSnapshot(first, of: volume, pool: fixture.pool, inUse: true)
      if progress.awaits != nil { try await fixture.merge(volume, upTo: end) }
      _ = try await backend.image(of: volume, pool: fixture.pool, inUse: false)
      try await backend.erase(first, of: volume, pool: fixture.pool)
    } from: {
      contentOfBranches(&$0)
    } to: {
      $0.snapshots[first] = nil
    }
  }

  /// Between two slices of a merge somebody opens the volume and writes to it.
  @Test func whatIsWrittenBetweenTheSlicesOfAMergeIsKept() async throws {
    var settings = ShareVolumes.Settings()
    (settings.slice, settings.window) = (.zero, 256 << 10)
    try await NFSFixture.with(settings: settings, isInMemory: true) { fixture in
      let backend = try await fixture.open()
      try await make(fixture, backend)
      _ = try await backend.snapshotted(first, fixture.snapshotRequest(of: volume))
      try await fixture.paint(2, 0..<8, of: volume, by: backend)
      for _ in 0..<2 {
        let progress = try await backend.removeSnapshot(first, of: volume, pool: fixture.pool, inUse: false)
        #expect(!progress.isComplete)
      }
      try await fixture.paint(3, 0..<1, of: volume, by: backend)
      try await backend.erase(first, of: volume, pool: fixture.pool)
      #expect(try await fixture.look().volumes[volume] == PaintedContent.bytes((1, 3), (7, 2), (8, 0)))
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// Between two slices of a copy somebody opens the volume that it is one of.
  @Test func aCopyIsOfOneMoment() async throws {
    var settings = ShareVolumes.Settings()
    (settings.slice, settings.window) = (.zero, 256 << 10)
    try await NFSFixture.with(settings: settings, isInMemory: true) { fixture in
      let backend = try await fixture.open()
      try await make(fixture, backend)
      let request = fixture.request(.mebibytes(1), source: .volume(volume))
      for _ in 0..<2 { #expect(try await !backend.ensure(copy, request).isDone) }
      try await fixture.paint(3, 0..<16, of: volume, by: backend)
      _ = try await backend.ensured(copy, request)
      #expect(try await fixture.look().volumes[copy] == PaintedContent.bytes((16, 3)))
    }
  }

  // MARK: Parts

  func make(_ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
    try await fixture.paint(1, 0..<8, of: volume, by: backend)
  }

  /// base (first) ◀── (second) ◀── (third) ◀── active
  func chain(_ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    try await make(fixture, backend)
    for (snapshot, byte, clusters) in [(first, 2, 4..<8), (second, 3, 6..<10), (third, 4, 0..<1)] as [(_, UInt8, _)] {
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      try await fixture.paint(byte, clusters, of: volume, by: backend)
    }
  }

  func contentOfChain(_ content: inout PaintedContent) {
    content.snapshots = [
      first: PaintedContent.bytes((8, 1), (8, 0)), second: PaintedContent.bytes((4, 1), (4, 2), (8, 0)),
      third: PaintedContent.bytes((4, 1), (2, 2), (4, 3), (6, 0)),
    ]
    content.volumes[volume] = PaintedContent.bytes((1, 4), (3, 1), (2, 2), (4, 3), (6, 0))
  }

  /// base (first) ◀── (second) ◀── (third), and the active one beside the third.
  private func branches(_ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    try await chain(fixture, backend)
    _ = try await backend.reverted(volume, fixture.revertRequest(7, to: second))
    try await fixture.paint(5, 7..<8, of: volume, by: backend)
  }

  private func contentOfBranches(_ content: inout PaintedContent) {
    contentOfChain(&content)
    content.volumes[volume] = PaintedContent.bytes((4, 1), (3, 2), (1, 5), (8, 0))
  }

  func removeInUse(_ snapshot: SnapshotID, _ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    for _ in 0..<10 {
      let progress = try await backend.removeSnapshot(snapshot, of: volume, pool: fixture.pool, inUse: true)
      guard let generation = progress.awaits else {
        if progress.isComplete { return }
        continue
      }
      try await fixture.merge(volume)
      try await backend.adopt(volume, pool: fixture.pool, generation: generation)
    }
    throw TestBedFailure("The removal of \(snapshot) does not end.")
  }

  /// Lets the power go after each number of requests in turn. What is seen then is of before or of after, and the repeat makes it
  /// the latter.
  func everywhere(
    _ format: SharedImage.Format = .raw, settings: ShareVolumes.Settings = .init(), inUse: Bool = false,
    atLeast least: Int, after prepare: Deed,
    dying deed: Deed, from fillBefore: (inout PaintedContent) -> Void, to fillAfter: (inout PaintedContent) -> Void
  ) async throws {
    var before = PaintedContent()
    fillBefore(&before)
    var after = before
    fillAfter(&after)
    try await NFSFixture.with(format: format, settings: settings, isInMemory: true) { fixture in
      let power = PowerSwitch()
      var deaths = 0
      while true {
        let backend = try await fixture.open(power)
        try await prepare(fixture, backend)
        if deaths == 0 { #expect(try await fixture.look() == before) }
        power.cut(after: deaths)
        do { try await deed(fixture, backend) } catch is StorageError {}
        let wasCut = power.isCut
        power.restore()

        let next = try await fixture.open()
        let volumes = try await next.volumes().map(\.id)
        _ = try await next.snapshots()
        for id in volumes { _ = try await next.image(of: id, pool: fixture.pool, inUse: inUse) }
        try await fixture.audit(next, isSettled: false)
        let found = try await fixture.look()
        for id in [volume, copy] {
          #expect([before.volumes[id], after.volumes[id]].contains(found.volumes[id]), "after \(deaths) steps")
        }
        for id in [first, second, third] {
          #expect([before.snapshots[id], after.snapshots[id]].contains(found.snapshots[id]), "after \(deaths) steps")
        }

        try await deed(fixture, next)
        let last = try await fixture.look()
        #expect(last == after, "after \(deaths) steps")
        try await fixture.audit(next, isSettled: true)

        for snapshot in try await next.snapshots() {
          try await next.erase(snapshot.id, of: snapshot.volume, pool: fixture.pool)
        }
        for id in try await next.volumes().map(\.id) { try await next.erase(id, pool: fixture.pool) }
        let left = try fixture.files()
        #expect(left.isEmpty, "after \(deaths) steps: \(left)")
        if !wasCut { break }
        deaths += 1
      }
      // If this were few, the test would have tested nothing.
      #expect(deaths >= least)
    }
  }
}

extension Work {
  var isDone: Bool { if case .done = self { true } else { false } }
}
