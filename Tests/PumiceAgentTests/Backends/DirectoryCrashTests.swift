import Conformance
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// A machine whose power goes between any two system calls, and the agent that starts on it afterwards.
struct DirectoryCrashTests {
  private typealias Provisioning = DirectoryBackendConfiguration.Provisioning

  private let volume = VolumeID.random()
  private let snapshot = SnapshotID.random()
  private let copy = VolumeID.random()

  @Test(arguments: [(DirectoryFixture.Storage.tmpfs, true), (.xfs, true), (.xfs, false)])
  func aCopyIsMadeOrNotAtAll(_ storage: DirectoryFixture.Storage, isThick: Bool) async throws {
    try await everywhere(storage, isThick) { fixture, backend in
      let made = try await fixture.written(volume, 1, by: backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      try await StampedContent.write(2, made)
    } dying: { fixture, backend in
      _ = try await backend.ensured(
        copy, fixture.request(.mebibytes(6), source: .snapshot(snapshot, of: volume)))
    } then: { fixture, backend in
      if let found = try await backend.volume(copy) {
        #expect(try await StampedContent.read(found) == StampedContent(1, .mebibytes(4)))
        #expect(found.size == .mebibytes(6))
      } else {
        #expect(try fixture.files("\(copy)").isEmpty)
      }
      let copied = try await backend.ensured(
        copy, fixture.request(.mebibytes(6), source: .snapshot(snapshot, of: volume)))
      #expect(try await StampedContent.read(copied) == StampedContent(1, .mebibytes(4)))
    }
  }

  @Test(arguments: [(DirectoryFixture.Storage.tmpfs, true), (.xfs, true), (.xfs, false)])
  func aSnapshotIsTakenOrNotAtAll(_ storage: DirectoryFixture.Storage, isThick: Bool) async throws {
    try await everywhere(storage, isThick) { fixture, backend in
      _ = try await fixture.written(volume, 1, by: backend)
    } dying: { fixture, backend in
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
    } then: { fixture, backend in
      let isThere = try await backend.snapshots().map(\.id) == [snapshot]
      #expect(try isThere || fixture.files("\(snapshot)").isEmpty)
      let made = try #require(try await backend.volume(volume))
      try await StampedContent.write(2, made)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      _ = try await backend.reverted(volume, fixture.revertRequest(7, to: snapshot))
      #expect(try await StampedContent.read(made) == StampedContent(isThere ? 1 : 2, .mebibytes(4)))
    }
  }

  @Test(arguments: [(DirectoryFixture.Storage.tmpfs, true), (.xfs, true), (.xfs, false)])
  func aRevertIsDoneOrNotAtAllAndNeverLater(_ storage: DirectoryFixture.Storage, isThick: Bool) async throws {
    try await everywhere(storage, isThick) { fixture, backend in
      let made = try await fixture.written(volume, 1, by: backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      try await StampedContent.write(2, made)
    } dying: { fixture, backend in
      _ = try await backend.reverted(volume, fixture.revertRequest(7, to: snapshot))
    } then: { fixture, backend in
      let found = try #require(try await backend.volume(volume))
      let isDone = found.revision == 7
      #expect(try await StampedContent.read(found) == StampedContent(isDone ? 1 : 2, .mebibytes(4)))
      #expect(found.description == fixture.request().description)
      #expect(try fixture.files("\(volume)").count == 4, "the volume and its snapshot, each with its sidecar")
      // Somebody writes to the volume, and then the repeat comes.
      try await StampedContent.write(3, found)
      let reverted = try await backend.reverted(volume, fixture.revertRequest(7, to: snapshot))
      #expect(try await StampedContent.read(reverted) == StampedContent(isDone ? 3 : 1, .mebibytes(4)))
      #expect(reverted.revision == 7)
    }
  }

  @Test(arguments: [false, true])
  func aVolumeIsMadeGrownAndRemovedOrNotAtAll(isThick: Bool) async throws {
    try await everywhere(.tmpfs, isThick) { _, _ in
    } dying: { fixture, backend in
      let made = try await fixture.written(volume, 1, by: backend)
      _ = try await backend.ensured(volume, fixture.request(.mebibytes(6), revision: 2))
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      try await backend.erase(snapshot, of: volume, pool: "files")
      try await backend.erase(volume, pool: made.pool)
    } then: { fixture, backend in
      let files = try fixture.files()
      #expect([0, 2, 4].contains(files.count), "each has its sidecar, and nothing else is there: \(files)")
      if let found = try await backend.volume(volume) {
        let content = try await StampedContent.read(found)
        #expect(content == .zeros || content == StampedContent(1, .mebibytes(4)))
        #expect([ByteCount.mebibytes(4), .mebibytes(6)].contains(found.size))
      }
      try await backend.erase(snapshot, of: volume, pool: "files")
      try await backend.erase(volume, pool: "files")
    }
  }

  /// Lets the power go after each number of system calls in turn; the next agent finds what is left.
  private func everywhere(
    _ storage: DirectoryFixture.Storage, _ isThick: Bool,
    after prepare: (DirectoryFixture, DirectoryBackend) async throws -> Void,
    dying deed: (DirectoryFixture, DirectoryBackend) async throws -> Void,
    then sequel: (DirectoryFixture, DirectoryBackend) async throws -> Void
  ) async throws {
    let slice = CopySlice(duration: .zero, step: .mebibytes(1))
    try await DirectoryFixture.with(storage, isThick ? .thick : .thin, slice: slice) { fixture in
      let power = PowerSwitch()
      var deaths = 0
      while true {
        let backend = try await fixture.open(power)
        try await prepare(fixture, backend)
        power.cut(after: deaths)
        do { try await deed(fixture, backend) } catch is StorageError {}
        let wasCut = power.isCut
        power.restore()
        let next = try await fixture.open()
        try await sequel(fixture, next)
        for id in [volume, copy] {
          for found in try await next.snapshots() where found.volume == id {
            try await next.erase(found.id, of: id, pool: "files")
          }
          try await next.erase(id, pool: "files")
        }
        let left = try fixture.files()
        #expect(left.isEmpty, "after \(deaths) steps: \(left)")
        if !wasCut { break }
        deaths += 1
      }
      // If this were few, the test would have tested nothing.
      #expect(deaths > 12)
    }
  }
}
