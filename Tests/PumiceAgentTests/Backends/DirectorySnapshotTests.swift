import Conformance
import Foundation
import PumiceModel
import PumiceWire
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

/// What the directory backend's snapshots, copies and reverts do beyond the port's promises.
struct DirectorySnapshotTests {
  private let volume = VolumeID.random()
  private let snapshot = SnapshotID.random()
  private let copy = VolumeID.random()

  // MARK: In use

  @Test func whereBlocksAreCopiedAVolumeInUseIsRefusedWithTheRemedy() async throws {
    try await DirectoryFixture.with { fixture in
      let backend = try await fixture.open()
      let made = try await fixture.written(volume, 1, by: backend)
      for body in [
        { _ = try await backend.ensureSnapshot(snapshot, fixture.snapshotRequest(of: volume), inUse: true) },
        { _ = try await backend.ensure(copy, fixture.request(source: .volume(volume)), VolumeUse(ofSource: true)) },
      ] as [() async throws -> Void] {
        let told = await #expect(throws: StorageError.self) { try await body() }
        #expect(told?.code == .unsupported)
        #expect(told?.message.contains("reflink=1") == true && told?.message.contains("Detach") == true)
      }

      // Nobody says so, but a program has it open.
      let writer = try #require(FileHandle(forUpdatingAtPath: made.path))
      for body in [
        { _ = try await backend.ensureSnapshot(snapshot, fixture.snapshotRequest(of: volume), inUse: false) },
        { _ = try await backend.ensure(copy, fixture.request(source: .volume(volume))) },
      ] as [() async throws -> Void] {
        let seen = await #expect(throws: StorageError.self) { try await body() }
        #expect(seen?.code == .unsupported)
      }
      #expect(try fixture.files().count == 2)
      try writer.close()
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      _ = try await backend.ensured(copy, fixture.request(source: .volume(volume)))
    }
  }

  @Test func aVolumeThatAProgramHasOpenIsNotReverted() async throws {
    try await DirectoryFixture.with { fixture in
      let backend = try await fixture.open()
      let made = try await fixture.written(volume, 1, by: backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      try await StampedContent.write(2, made)
      let writer = try #require(FileHandle(forUpdatingAtPath: made.path))
      let error = await #expect(throws: StorageError.self) {
        try await backend.reverted(volume, fixture.revertRequest(2, to: snapshot))
      }
      #expect(error?.code == .inUse)
      #expect(try fixture.files().count == 4)
      try writer.close()
      #expect(try await StampedContent.read(made) == StampedContent(2, made.size))
      let reverted = try await backend.reverted(volume, fixture.revertRequest(2, to: snapshot))
      #expect(try await StampedContent.read(reverted) == StampedContent(1, made.size))
    }
  }

  /// A writer goes through the volume from front to back, again and again: what a snapshot holds must be a state that the
  /// volume was in.
  @Test(arguments: [DirectoryFixture.Storage.xfs, .btrfs], [DirectoryBackendConfiguration.Provisioning.thin, .thick])
  func whereBlocksAreSharedASnapshotOfAVolumeBeingWrittenToIsOfOneInstant(
    _ storage: DirectoryFixture.Storage, _ provisioning: DirectoryBackendConfiguration.Provisioning
  ) async throws {
    try await DirectoryFixture.with(storage, provisioning) { fixture in
      let backend = try await fixture.open()
      let made = try await backend.ensured(volume, fixture.request(.mebibytes(2)))
      let writer = RollingWriter(made.path, blocks: 512)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await writer.run() }
        for _ in 1...10 {
          let (id, before) = (SnapshotID.random(), writer.passes)
          try await eventually("the writer is at work") { writer.passes > before + 1 }
          let answered = writer.passes
          _ = try await backend.snapshotted(id, fixture.snapshotRequest(of: volume), inUse: true)
          let copied = try await backend.ensured(
            .random(), fixture.request(.mebibytes(2), source: .snapshot(id, of: volume)))
          let passes = try RollingWriter.passes(in: copied.path)
          let first = try #require(passes.first)
          #expect(first >= answered, "what was written before must be in it")
          let isOneState = passes.drop { $0 == first }.allSatisfy { $0 == first - 1 }
          #expect(isOneState, "\(Set(passes))")
        }
        writer.stop()
        try await group.waitForAll()
      }
    }
  }

  // MARK: Slices

  @Test func longCopiesGoOnWhereTheyStood() async throws {
    try await DirectoryFixture.with(slice: .tiny) { fixture in
      let backend = try await fixture.open()
      _ = try await fixture.written(volume, 1, by: backend)
      var shares: [Double] = []
      while case .underway(let progress) = try await backend.ensureSnapshot(
        snapshot, fixture.snapshotRequest(of: volume), inUse: false)
      {
        shares.append(progress.done)
        try #require(shares.count < 100)
      }
      #expect(shares == (1..<64).map { Double($0) / 64 })
    }
  }

  @Test func aSourceThatIsWrittenToBetweenSlicesIsCopiedAnew() async throws {
    try await DirectoryFixture.with(slice: .tiny) { fixture in
      let backend = try await fixture.open()
      let made = try await fixture.written(volume, 1, by: backend)
      for _ in 1...20 { _ = try await backend.ensure(copy, fixture.request(source: .volume(volume))) }
      try await StampedContent.write(2, made)
      let progress = try await backend.ensure(copy, fixture.request(source: .volume(volume)))
      guard case .underway(let progress) = progress else {
        Issue.record("it should not be done")
        return
      }
      #expect(progress.done == 1.0 / 64)
      let copied = try await backend.ensured(copy, fixture.request(source: .volume(volume)))
      #expect(try await StampedContent.read(copied) == StampedContent(2, made.size))
    }
  }

  @Test func aRestartForgetsHalfACopyAndItsBytes() async throws {
    try await DirectoryFixture.with(slice: .tiny) { fixture in
      let backend = try await fixture.open()
      _ = try await fixture.written(volume, 1, by: backend)
      for _ in 1...20 { _ = try await backend.ensure(copy, fixture.request(source: .volume(volume))) }
      #expect(try !fixture.files("\(copy)").isEmpty)
      let next = try await fixture.open()
      #expect(try fixture.files("\(copy)").isEmpty)
      let progress = try await next.ensure(copy, fixture.request(source: .volume(volume)))
      guard case .underway(let progress) = progress else {
        Issue.record("it should not be done")
        return
      }
      #expect(progress.done == 1.0 / 64)
    }
  }

  @Test func aRevertThatIsGivenUpLeavesNothing() async throws {
    try await DirectoryFixture.with(slice: .tiny) { fixture in
      let backend = try await fixture.open()
      let made = try await fixture.written(volume, 1, by: backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      try await StampedContent.write(2, made)
      for _ in 1...20 { _ = try await backend.revert(volume, fixture.revertRequest(2, to: snapshot)) }
      #expect(try fixture.files("\(volume)").count > 4)
      let kept = try await backend.ensured(volume, fixture.request(revision: 3))
      #expect(try fixture.files("\(volume)").count == 4)
      #expect(try await StampedContent.read(kept) == StampedContent(2, made.size))
    }
  }

  // MARK: Space

  @Test(arguments: DirectoryFixture.Storage.allCases)
  func holesStayHoles(_ storage: DirectoryFixture.Storage) async throws {
    try await DirectoryFixture.with(storage) { fixture in
      let backend = try await fixture.open()
      let made = try await backend.ensured(volume, fixture.request(.gibibytes(64)))
      let file = try #require(FileHandle(forUpdatingAtPath: made.path))
      for offset in [1 << 30, 33 << 30, (64 << 30) - 4096] as [UInt64] {
        try file.seek(toOffset: offset)
        try file.write(contentsOf: Data("written at \(offset)".utf8))
      }
      try file.close()
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      let copied = try await backend.ensured(
        copy, fixture.request(.gibibytes(65), source: .snapshot(snapshot, of: volume)))
      let reader = try #require(FileHandle(forReadingAtPath: copied.path))
      for offset in [1 << 30, 33 << 30, (64 << 30) - 4096] as [UInt64] {
        try reader.seek(toOffset: offset)
        let text = "written at \(offset)"
        #expect(try reader.read(upToCount: text.utf8.count) == Data(text.utf8))
      }
      try reader.close()
      for name in try fixture.files() where !name.hasSuffix(".json") {
        #expect(try await allocated("\(fixture.path)/\(name)") < 1 << 20, "\(name)")
      }
    }
  }

  @Test(arguments: [DirectoryFixture.Storage.plain, .xfs])
  func thickVolumesAndSnapshotsHaveAllTheirBlocksForThemselves(_ storage: DirectoryFixture.Storage) async throws {
    try await DirectoryFixture.with(storage, .thick) { fixture in
      let backend = try await fixture.open()
      let made = try await backend.ensured(volume, fixture.request(.mebibytes(8)))
      try await StampedContent.write(1, made)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume), inUse: storage == .xfs)
      _ = try await backend.ensured(copy, fixture.request(.mebibytes(16), source: .volume(volume)))
      _ = try await backend.reverted(volume, fixture.revertRequest(2, to: snapshot))
      let data = try fixture.files().filter { !$0.hasSuffix(".json") }
      #expect(data.count == 3)
      for name in data {
        let path = "\(fixture.path)/\(name)"
        #expect(try await allocated(path) >= (name.contains("\(copy)") ? 16 : 8) << 20, "\(name)")
        let extents = try await CommandRunner().run("filefrag", ["-v", path])
        #expect(extents.succeeded && !extents.standardOutput.contains("shared"), "\(extents)")
      }
    }
  }

  @Test func whereBlocksAreSharedASnapshotTakesNoSpace() async throws {
    try await DirectoryFixture.with(.xfs) { fixture in
      let backend = try await fixture.open()
      let made = try await backend.ensured(volume, fixture.request(.mebibytes(200)))
      try await StampedContent.write(1, made)
      // More than would fit into the file system as copies.
      for _ in 1...5 { _ = try await backend.snapshotted(.random(), fixture.snapshotRequest(of: volume)) }
    }
  }

  @Test(arguments: [DirectoryBackendConfiguration.Provisioning.thin, .thick])
  func aFullFileSystemRefusesWithNothingLeft(
    _ provisioning: DirectoryBackendConfiguration.Provisioning
  ) async throws {
    try await Bed.with { bed in
      var fixture = DirectoryFixture(
        path: try await bed.makeFileSystem("ext4", mebibytes: 64), provisioning: provisioning)
      fixture.slice = CopySlice(duration: .zero, step: .mebibytes(1))
      let backend = try await fixture.open()
      let made = try await fixture.written(volume, 1, .mebibytes(16), by: backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      try await StampedContent.write(2, made)
      let before = try fixture.files()

      // Full from the start.
      let ballast = "\(fixture.path)/ballast"
      func fill() async throws { _ = try await CommandRunner().run("dd", ["if=/dev/zero", "of=\(ballast)", "bs=1M"]) }
      try await fill()
      try await expectNoSpace(backend, fixture)
      try FileManager.default.removeItem(atPath: ballast)
      #expect(try fixture.files() == before)

      // Full on the way.
      for _ in 1...5 { _ = try await backend.ensure(copy, fixture.request(.mebibytes(16), source: .volume(volume))) }
      try await fill()
      try await expectNoSpace(backend, fixture)
      try FileManager.default.removeItem(atPath: ballast)
      #expect(try fixture.files() == before)
      #expect(try await StampedContent.read(made) == StampedContent(2, made.size))
      let copied = try await backend.ensured(copy, fixture.request(.mebibytes(16), source: .volume(volume)))
      #expect(try await StampedContent.read(copied) == StampedContent(2, made.size))
    }
  }

  private func expectNoSpace(_ backend: DirectoryBackend, _ fixture: DirectoryFixture) async throws {
    for body in [
      { _ = try await backend.ensured(copy, fixture.request(.mebibytes(16), source: .volume(volume))) },
      { _ = try await backend.snapshotted(.random(), fixture.snapshotRequest(of: volume)) },
      { _ = try await backend.reverted(volume, fixture.revertRequest(2, to: snapshot)) },
    ] as [() async throws -> Void] {
      let error = await #expect(throws: StorageError.self) { try await body() }
      #expect(error?.code == .noSpace, "\(error.map { "\($0)" } ?? "")")
    }
  }

  private func allocated(_ path: String) async throws -> Int {
    let shown = try await CommandRunner().run("stat", ["-c", "%b", path]).standardOutput
    return try #require(Int(shown.filter { !$0.isWhitespace })) * 512
  }

  // MARK: Descriptions

  @Test func sidecarsSayWhatIsWhoseAndWhereItCameFrom() async throws {
    try await DirectoryFixture.with { fixture in
      let backend = try await fixture.open()
      _ = try await fixture.written(volume, 1, by: backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      _ = try await backend.ensured(copy, fixture.request(source: .snapshot(snapshot, of: volume)))
      _ = try await backend.ensured(copy, fixture.request(.mebibytes(5), revision: 2))
      _ = try await backend.reverted(volume, fixture.revertRequest(7, to: snapshot))

      let ofSnapshot = try fixture.json("snapshot-\(snapshot)-of-\(volume).json")
      #expect(ofSnapshot["id"] as? String == "\(snapshot)")
      #expect(ofSnapshot["volume"] as? String == "\(volume)")
      #expect(ofSnapshot["name"] as? String == "before")
      #expect(ofSnapshot["project"] as? String == "project")
      #expect(ofSnapshot["type"] as? String == "fast")
      #expect(ofSnapshot["metadata"] as? [String: String] == ["b": "2"])
      #expect(ofSnapshot["size"] as? Int == 4 << 20)
      #expect(ofSnapshot["format"] as? String == "raw")
      let ofCopy = try fixture.json("volume-\(copy).json")
      #expect(ofCopy["sourceSnapshot"] as? String == "\(snapshot)")
      #expect(ofCopy["sourceVolume"] as? String == "\(volume)")
      let revert = try fixture.json("volume-\(volume).json")["revert"] as? [String: Any]
      #expect(revert?["snapshot"] as? String == "\(snapshot)")
      #expect(revert?["revision"] as? Int == 7)
      for name in try fixture.files() {
        let mode =
          try FileManager.default.attributesOfItem(atPath: "\(fixture.path)/\(name)")[.posixPermissions] as? Int
        #expect(mode == 0o600)
      }
    }
  }

  @Test func aSnapshotWithoutASidecarIsStillOneOfItsVolume() async throws {
    try await DirectoryFixture.with { fixture in
      let backend = try await fixture.open()
      let made = try await fixture.written(volume, 1, by: backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      for name in try fixture.files(".json") { try FileManager.default.removeItem(atPath: "\(fixture.path)/\(name)") }
      let next = try await fixture.open()
      let found = try await next.snapshots()
      #expect(found.map(\.id) == [snapshot] && found.map(\.volume) == [volume])
      let error = await #expect(throws: StorageError.self) { try await next.remove(volume, pool: "files") }
      #expect(error?.code == .inUse)
      let again = try await next.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      #expect(again.description == fixture.snapshotRequest(of: volume).description)
      try await StampedContent.write(2, made)
      let reverted = try await next.reverted(volume, fixture.revertRequest(5, to: snapshot))
      #expect(reverted.revision == 5)
      #expect(try await StampedContent.read(reverted) == StampedContent(1, made.size))
    }
  }

  @Test func aSnapshotsIDBelongsToOneVolume() async throws {
    try await DirectoryFixture.with { fixture in
      let backend = try await fixture.open()
      let other = VolumeID.random()
      for id in [volume, other] { _ = try await backend.ensured(id, fixture.request()) }
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      for body in [
        { _ = try await backend.ensureSnapshot(snapshot, fixture.snapshotRequest(of: other), inUse: false) },
        { _ = try await backend.removeSnapshot(snapshot, of: other, pool: "files") },
      ] as [() async throws -> Void] {
        let error = await #expect(throws: StorageError.self) { try await body() }
        #expect(error?.code == .conflict)
      }
      #expect(try await backend.snapshots().map(\.volume) == [volume])
    }
  }
}

/// Overwrites a file from front to back, pass after pass, block by block, each with the number of its pass.
private final class RollingWriter: Sendable {
  private static let block = 4096
  private let path: String
  private let blocks: Int
  private let state = Mutex((passes: 0, isStopped: false))

  init(_ path: String, blocks: Int) {
    self.path = path
    self.blocks = blocks
  }

  /// Passes that have ended, durably.
  var passes: Int { state.withLock(\.passes) }

  func stop() { state.withLock { $0.isStopped = true } }

  func run() async throws {
    let file = try #require(FileHandle(forUpdatingAtPath: path))
    defer { try? file.close() }
    while !state.withLock(\.isStopped) {
      let bytes = withUnsafeBytes(of: Int64(passes + 1)) { Data($0) }
      let block = bytes + Data(count: Self.block - bytes.count)
      for number in 0..<blocks {
        try file.seek(toOffset: UInt64(number * Self.block))
        try file.write(contentsOf: block)
      }
      state.withLock { $0.passes += 1 }
      try await Task.sleep(for: .microseconds(100))
    }
  }

  /// The pass that each block was written in.
  static func passes(in path: String) throws -> [Int] {
    let bytes = try Data(contentsOf: URL(filePath: path))
    return stride(from: 0, to: bytes.count, by: block).map { offset in
      bytes[offset..<offset + 8].withUnsafeBytes { Int($0.loadUnaligned(as: Int64.self)) }
    }
  }
}
