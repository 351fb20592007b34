import Conformance
import Foundation
import PumiceModel
import PumiceWire
import TestBed
import Testing

@testable import PumiceAgent

/// Servers that are away, slow or full, or refuse.
@Suite(.timeLimit(.minutes(3))) struct NFSSafetyTests {
  private let volume = VolumeID.random()
  private let copy = VolumeID.random()
  private let snapshot = SnapshotID.random()

  @Test func whatAServerThatDiesHasLeftIsEndedByTheRepeat() async throws {
    try await NFSFixture.with { fixture in
      let backend = try await fixture.open()
      try await make(fixture, backend)
      for delay in [0, 10, 40] {
        async let death: Void = {
          try await Task.sleep(for: .milliseconds(delay))
          try await fixture.server.kill9()
        }()
        do throws(StorageError) {
          _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
        } catch {
          #expect([.unavailable, .timeout].contains(error.code), "\(error)")
        }
        try await death
        let begin = ContinuousClock.now
        let error = await #expect(throws: StorageError.self) { try await backend.volumes() }
        #expect(error?.code == .unavailable || error?.code == .timeout)
        #expect(ContinuousClock.now - begin < .seconds(15))
        #expect(await backend.pools().first?.downReason != nil)

        try await fixture.server.start()
        try await resumed { _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume)) }
        #expect(try await fixture.look().snapshots[snapshot] == PaintedContent.bytes((8, 1), (8, 0)))
        try await backend.erase(snapshot, of: volume, pool: fixture.pool)
        try await fixture.audit(backend, isSettled: true)
      }
    }
  }

  @Test func aShareWhoseServerSaysNothingKeepsNoOtherFromBeingServed() async throws {
    try await NFSFixture.with { fixture in
      let path = try fixture.bed.folder.folder("other")
      let server = try GaneshaDaemon(in: fixture.bed, exports: [.init(path: path)], name: "other-ganesha")
      try await server.start()
      let other = "\(server.address):\(path)"
      let backend = try await fixture.open(beside: [other], timeout: 2)
      try await make(fixture, backend)
      try await fixture.server.pause()
      let error = await #expect(throws: StorageError.self) {
        try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      }
      #expect(error?.code == .unavailable || error?.code == .timeout)
      let reports = await backend.pools()
      #expect(reports.map { $0.downReason == nil } == [false, true])
      var request = fixture.request(.mebibytes(1))
      request.pool = other
      #expect(try await backend.ensured(copy, request).pool == other)
      #expect(try await backend.volume(copy)?.id == copy)

      await fixture.server.resume()
      try await resumed { _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume)) }
      #expect(await backend.pools().allSatisfy { $0.downReason == nil })
      #expect(try await fixture.look().snapshots[snapshot] == PaintedContent.bytes((8, 1), (8, 0)))
    }
  }

  /// The coordinator takes a node for dead whose reports stay away for a minute.
  @Test func aServerThatSaysNothingHoldsUpNoReport() async throws {
    try await NFSFixture.with(patience: .seconds(4)) { fixture in
      let backend = try await fixture.open(timeout: 30)
      let machine = NodeFixture()
      let node = machine.start(beside: [backend])
      _ = try await node.ensureVolume(volume, fixture.request(.mebibytes(1)))
      let digest = try await node.report().inventoryDigest
      try await fixture.server.pause()
      async let late = code { _ = try await node.ensureVolume(copy, fixture.request(.mebibytes(1))) }
      // It is waited for, and then it is not.
      for limit in [Duration.seconds(15), .seconds(3)] {
        let begin = ContinuousClock.now
        let report = try await node.report()
        #expect(ContinuousClock.now - begin < limit)
        #expect(report.pools.map { $0.downReason == nil } == [false, true])
        #expect(report.inventoryDigest == digest, "what can't be read stands as it was")
      }
      let begin = ContinuousClock.now
      _ = try await node.ensureVolume(.random(), machine.volumeRequest())
      #expect(await code { _ = try await node.inventory() } == .unavailable)
      #expect(ContinuousClock.now - begin < .seconds(3))
      #expect([.unavailable, .timeout].contains(await late))

      await fixture.server.resume()
      try await resumed { _ = try await node.ensureVolume(copy, fixture.request(.mebibytes(1))) }
      try await eventually("it is up") { try await node.report().pools.allSatisfy { $0.downReason == nil } }
      #expect(try await node.inventory().volumes.count == 3)
      try await fixture.audit(backend, isSettled: true)
    }
  }

  @Test func aServerThatIsSlowIsWaitedFor() async throws {
    try await NFSFixture.with { fixture in
      let backend = try await fixture.open(timeout: 5)
      try await make(fixture, backend)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          while !Task.isCancelled {
            // When it is cancelled in the middle, the server still has to go on.
            try? await fixture.server.pause()
            try? await Task.sleep(for: .milliseconds(400))
            await fixture.server.resume()
            try? await Task.sleep(for: .milliseconds(20))
          }
        }
        _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
        let source = VolumeSource.snapshot(snapshot, of: volume)
        _ = try await backend.ensured(copy, fixture.request(.mebibytes(1), source: source))
        try await backend.erase(snapshot, of: volume, pool: fixture.pool)
        group.cancelAll()
        try await group.waitForAll()
      }
      let painted = PaintedContent.bytes((8, 1), (8, 0))
      #expect(try await fixture.look() == PaintedContent(volumes: [volume: painted, copy: painted]))
      try await fixture.audit(backend, isSettled: true)
    }
  }

  /// Handles of the old one are stale.
  @Test func aShareThatWasMadeAnewIsFoundAgain() async throws {
    try await NFSFixture.with { fixture in
      let backend = try await fixture.open(timeout: 5)
      try await make(fixture, backend)
      try await fixture.bed.run([
        "sh", "-c",
        "mv '\(fixture.path)' '\(fixture.path).old' && rm -r '\(fixture.path).old' && mkdir -m 700 '\(fixture.path)'",
      ])
      let error = await #expect(throws: StorageError.self) {
        try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      }
      #expect([.unavailable, .notFound].contains(error?.code), "\(error as Any)")
      try await fixture.server.kill9()
      try await fixture.server.start()
      try await resumed { _ = try await backend.ensured(copy, fixture.request(.mebibytes(1))) }
      #expect(try await backend.volumes().map(\.id) == [copy])
      #expect(await backend.pools().allSatisfy { $0.downReason == nil })
    }
  }

  @Test func nothingIsMadeWhereTheServerForbidsIt() async throws {
    for squashes in [false, true] {
      try await NFSFixture.with(access: squashes ? .readWrite : .readOnly, squashesRoot: squashes) { fixture in
        let error = await #expect(throws: StorageError.self) {
          try await fixture.open().ensured(volume, fixture.request(.mebibytes(1)))
        }
        #expect(error?.code == .forbidden, "\(String(describing: error))")
        let left = try fixture.files()
        #expect(left.isEmpty, "\(left)")
      }
    }
  }

  @Test func aServerThatTrustsNoRootServesTheOwnerOfTheFolder() async throws {
    try await NFSFixture.with(squashesRoot: true, owner: (1234, 1235)) { fixture in
      let root = await #expect(throws: StorageError.self) {
        try await fixture.open().ensured(volume, fixture.request(.mebibytes(1)))
      }
      #expect(root?.code == .forbidden && root?.message.contains("denies access") == true, "\(root as Any)")

      let backend = try await fixture.open(user: 1234, group: 1235)
      try await make(fixture, backend)
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      _ = try await backend.ensured(
        copy, fixture.request(.mebibytes(1), source: .snapshot(snapshot, of: volume)))
      let image = try await backend.image(of: volume, pool: fixture.pool, inUse: false)
      #expect(image.user == 1234 && image.group == 1235, "QEMU asks as the same user")
      let names = try fixture.files()
      let owners = try await fixture.bed.run(["stat", "-c", "%u:%g %a"] + names.map { "\(fixture.path)/\($0)" })
      #expect(Set(owners.split(separator: "\n")) == ["1234:1235 660"], "\(names): \(owners)")
      #expect(try await fixture.look().volumes[copy] == PaintedContent.bytes((8, 1), (8, 0)))
      try await backend.erase(snapshot, of: volume, pool: fixture.pool)
      try await fixture.audit(backend, isSettled: true)
    }
  }

  @Test func aShareThatEverybodyMayWriteToIsNotUsed() async throws {
    try await NFSFixture.with(mode: 0o777) { fixture in
      let error = await #expect(throws: StorageError.self) {
        try await fixture.open().ensured(volume, fixture.request(.mebibytes(1)))
      }
      #expect(error?.code == .forbidden && error?.message.contains("chmod o-w") == true, "\(error as Any)")
      let left = try FileManager.default.contentsOfDirectory(atPath: fixture.path)
      #expect(left.isEmpty, "\(left)")
    }
  }

  @Test func aFullShareLosesNothing() async throws {
    try await NFSFixture.with(mebibytes: 8) { fixture in
      let backend = try await fixture.open()
      _ = try await backend.ensured(volume, fixture.request(.mebibytes(4)))
      let folder = try await backend.shares[0].access.folder()
      let bytes = (0..<4 << 20).map { UInt8(truncatingIfNeeded: $0 >> 12) | 1 }
      let file = try await folder.open("volume-\(volume)")
      try await file.write(bytes, at: 0)
      try await file.sync()
      try await file.close()
      let names = Set(try await folder.files().keys)

      let copied = await #expect(throws: StorageError.self) {
        try await backend.ensured(copy, fixture.request(.mebibytes(4), source: .volume(volume)))
      }
      #expect(copied?.code == .noSpace)
      try await folder.create("filler")
      let filler = try await folder.open("filler")
      for size in [1 << 20, 64 << 10, 4096] {
        while (try? await filler.write([UInt8](repeating: 1, count: size), at: end(of: "filler", in: folder))) != nil {}
      }
      try? await filler.sync()
      try? await filler.close()
      let taken = await #expect(throws: StorageError.self) {
        try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      }
      #expect(taken?.code == .noSpace, "\(String(describing: taken))")
      let made = await #expect(throws: StorageError.self) {
        try await backend.ensured(copy, fixture.request(.mebibytes(1)))
      }
      #expect(made?.code == .noSpace, "\(String(describing: made))")
      #expect(Set(try await folder.files().keys) == names.union(["filler"]))
      #expect(try await folder.read("volume-\(volume)", 4 << 20, at: 0) == bytes)

      try await folder.remove("filler")
      _ = try await backend.snapshotted(snapshot, fixture.snapshotRequest(of: volume))
      #expect(try await folder.read("volume-\(volume)", 4 << 20, at: 0) == bytes)
    }
  }

  // MARK: Parts

  private func make(_ fixture: NFSFixture, _ backend: NFSBackend) async throws {
    _ = try await backend.ensured(volume, fixture.request(.mebibytes(1)))
    try await fixture.paint(1, 0..<8, of: volume, by: backend)
  }

  /// The server is back, and nobody has to say so.
  private func resumed(_ deed: () async throws -> Void) async throws {
    try await eventually("work goes on") { () async throws -> Bool in
      try await deed()
      return true
    }
  }

  private func code(_ body: () async throws -> Void) async -> StorageError.Code? {
    do { try await body() } catch { return (error as? StorageError)?.code }
    return nil
  }

  private func end(of name: String, in folder: any ShareFolder) async throws -> Int64 {
    try await folder.status(of: name)?.size.bytes ?? 0
  }
}
