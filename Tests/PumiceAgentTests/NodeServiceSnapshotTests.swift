import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// What `NodeAPI` promises about snapshots, copies and reverts.
@Suite struct NodeServiceSnapshotTests {
  private let fixture = NodeFixture()
  private let volume = VolumeID.random()
  private let snapshot = SnapshotID.random()
  private let copy = VolumeID.random()
  private let attachment = AttachmentID.random()

  private func code(_ body: () async throws -> Void) async -> StorageError.Code? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? StorageError)?.code
    }
  }

  /// A volume with a snapshot of stamp 1, and stamp 2 written since.
  private func prepare(_ node: NodeService) async throws {
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    fixture.disk.write(1, to: volume)
    #expect(try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)).isComplete)
    fixture.disk.write(2, to: volume)
  }

  // MARK: Snapshots

  @Test func aSnapshotIsTakenOnceAndShowsInTheInventory() async throws {
    let node = fixture.start()
    try await prepare(node)
    #expect(try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)).isComplete)
    #expect(fixture.disk.snapshots.map(\.content.stamp) == [1])
    let inventory = try await node.inventory()
    #expect(
      inventory.snapshots
        == [
          Inventory.StoredSnapshot(
            id: snapshot, volume: volume, backend: "mem", pool: "mem", size: .gibibytes(1), revision: 1)
        ])
    #expect(inventory.volumes.map(\.id) == [volume])
    let report = try await node.report()
    #expect(report.inventoryDigest == inventory.digest)
    for _ in 1...2 {
      #expect(try await node.removeSnapshot(snapshot, fixture.snapshotRemoval(volume, 3)).isComplete)
    }
    #expect(fixture.disk.snapshotContents.isEmpty)
    #expect(try await node.inventory().digest != inventory.digest)
  }

  @Test(arguments: [false, true])
  func theBackendIsToldWhetherTheVolumeIsInUse(isExported: Bool) async throws {
    let asked = Shared<[Bool]>([])
    let backend = AskedBackend(InMemoryBackend(name: "mem", disk: fixture.disk), asked: asked)
    let node = NodeService(
      NodeIdentity(name: "n1", address: ""),
      drivers: NodeDrivers(
        backends: [backend],
        exporter: InMemoryExporter(fabric: fixture.fabric, portal: "n1", disks: ["mem": fixture.disk])),
      exports: InMemoryRecordStore(on: fixture.exportShelf), connections: InMemoryRecordStore(), logger: .silent)
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    if isExported { _ = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment)) }
    _ = try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume))
    _ = try await node.ensureVolume(copy, fixture.volumeRequest(source: .volume(volume)))
    // What a snapshot holds is still, whoever writes to its volume.
    _ = try await node.ensureVolume(.random(), fixture.volumeRequest(source: .snapshot(snapshot, of: volume)))
    #expect(asked.withLock { $0 } == [isExported, isExported, false])
    if isExported {
      // Whoever is being fenced off may still be writing.
      fixture.faults.fail(at: "exporter.remove")
      _ = await code { try await fixture.start().removeExport(attachment, ExportRemoval(revision: 2)) }
      #expect(fixture.exportRecords.map(\.isLeaving) == [true])
      _ = try await node.ensureSnapshot(.random(), fixture.snapshotRequest(volume))
      #expect(asked.withLock(\.last) == true)
    }
  }

  @Test func aVolumeWithSnapshotsIsNotRemoved() async throws {
    let node = fixture.start()
    try await prepare(node)
    #expect(await code { _ = try await node.removeVolume(volume, fixture.removal(2)) } == .inUse)
    #expect(fixture.disk.content(of: volume)?.stamp == 2)
    _ = try await node.removeSnapshot(snapshot, fixture.snapshotRemoval(volume, 2))
    _ = try await node.removeVolume(volume, fixture.removal(2))
    #expect(fixture.disk.contents.isEmpty)
  }

  @Test func aSnapshotOfAVolumeThatIsNotThereIsNotFound() async throws {
    let node = fixture.start()
    #expect(await code { _ = try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)) } == .notFound)
    var elsewhere = fixture.snapshotRequest(volume)
    elsewhere.backend = "nowhere"
    #expect(await code { _ = try await node.ensureSnapshot(snapshot, elsewhere) } == .notFound)
    #expect(fixture.disk.snapshotContents.isEmpty)
  }

  @Test func aLateSnapshotAfterItsRemovalIsStale() async throws {
    let node = fixture.start()
    try await prepare(node)
    _ = try await node.removeSnapshot(snapshot, fixture.snapshotRemoval(volume, 3))
    #expect(await code { _ = try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)) } == .stale)
    #expect(fixture.disk.snapshotContents.isEmpty)
    // The next life has forgotten that, and is asked by its number.
    var meant = fixture.snapshotRequest(volume)
    meant.incarnation = node.incarnation
    #expect(await code { _ = try await fixture.start().ensureSnapshot(snapshot, meant) } == .unavailable)
    #expect(fixture.disk.snapshotContents.isEmpty)
  }

  // MARK: Copies

  @Test func copiesHaveTheContentOfTheirSource() async throws {
    let node = fixture.start()
    try await prepare(node)
    for (source, stamp) in [(VolumeSource.snapshot(snapshot, of: volume), 1), (.volume(volume), 2)] {
      let id = VolumeID.random()
      let request = fixture.volumeRequest(size: .gibibytes(3), source: source)
      for _ in 1...2 { #expect(try await node.ensureVolume(id, request).isComplete) }
      #expect(fixture.disk.content(of: id) == InMemoryDisk.Content(stamp: stamp, length: .gibibytes(1)))
    }
  }

  @Test func copiesThatCannotBeAreRefusedAndSayWhy() async throws {
    let node = fixture.start()
    try await prepare(node)
    let missing = SnapshotID.random()
    let requests: [(VolumeRequest, StorageError.Code, String)] = [
      (fixture.volumeRequest(source: .snapshot(missing, of: volume)), .notFound, "\(missing)"),
      (fixture.volumeRequest(source: .snapshot(snapshot, of: copy)), .invalid, "source"),
      (fixture.volumeRequest(source: .volume(copy)), .invalid, "source"),
      (fixture.volumeRequest(source: .volume(.random())), .notFound, "not on pool mem"),
      (fixture.volumeRequest(size: .mebibytes(1), source: .volume(volume)), .invalid, "at least"),
    ]
    for (request, code, part) in requests {
      let error = await #expect(throws: StorageError.self) { _ = try await node.ensureVolume(copy, request) }
      #expect(error?.code == code)
      #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }
    #expect(fixture.disk.contents == [volume])
  }

  @Test func aSourceOnAnotherPoolIsNotFoundThere() async throws {
    let disk = InMemoryDisk(pools: ["fast": .gibibytes(9), "slow": .gibibytes(9)])
    let node = NodeService(
      NodeIdentity(name: "n1", address: ""),
      drivers: NodeDrivers(backends: [InMemoryBackend(name: "mem", disk: disk)]), exports: InMemoryRecordStore(),
      connections: InMemoryRecordStore(), logger: .silent)
    var request = fixture.volumeRequest()
    request.pool = "fast"
    _ = try await node.ensureVolume(volume, request)
    request.pool = "slow"
    request.source = .volume(volume)
    let error = await #expect(throws: StorageError.self) { _ = try await node.ensureVolume(copy, request) }
    #expect(error?.code == .notFound)
    #expect(error?.message.contains("not on pool slow") == true)
  }

  // MARK: Reverts

  @Test func aVolumeGetsItsSnapshotsContentBackOncePerRevision() async throws {
    var node = fixture.start()
    try await prepare(node)
    #expect(try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot)).isComplete)
    #expect(fixture.disk.content(of: volume)?.stamp == 1)
    fixture.disk.write(3, to: volume)
    for _ in 1...2 {
      #expect(try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot)).isComplete)
      node = fixture.start()
    }
    #expect(fixture.disk.content(of: volume)?.stamp == 3)
    #expect(await code { _ = try await node.revertVolume(volume, fixture.revertRequest(3, to: snapshot)) } == .stale)
    #expect(await code { _ = try await node.ensureVolume(volume, fixture.volumeRequest(3)) } == .stale)
    #expect(fixture.disk.content(of: volume)?.stamp == 3)
  }

  @Test func anExportedVolumeIsNotReverted() async throws {
    let node = fixture.start()
    try await prepare(node)
    _ = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    #expect(await code { _ = try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot)) } == .inUse)
    fixture.faults.fail(at: "exporter.remove")
    _ = await code { try await node.removeExport(attachment, ExportRemoval(revision: 2)) }
    #expect(await code { _ = try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot)) } == .inUse)
    #expect(fixture.disk.content(of: volume)?.stamp == 2)
    fixture.faults.clear()
    try await node.removeExport(attachment, ExportRemoval(revision: 2))
    _ = try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot))
    #expect(fixture.disk.content(of: volume)?.stamp == 1)
  }

  @Test func aLateRevertAfterTheVolumeWasSettledIsStale() async throws {
    let node = fixture.start()
    try await prepare(node)
    var settling = fixture.volumeRequest(5)
    settling.mustExist = true
    _ = try await node.ensureVolume(volume, settling)
    for node in [node, fixture.start()] {
      #expect(await code { _ = try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot)) } == .stale)
    }
    #expect(fixture.disk.content(of: volume)?.stamp == 2)
  }

  @Test func aRevertToWhatIsNotThereIsNotFound() async throws {
    let node = fixture.start()
    try await prepare(node)
    let requests = [(volume, SnapshotID.random()), (VolumeID.random(), snapshot)]
    for (volume, snapshot) in requests {
      #expect(
        await code { _ = try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot)) } == .notFound)
    }
    #expect(fixture.disk.content(of: volume)?.stamp == 2)
  }

  // MARK: Long work

  @Test func longWorkAnswersUnderwayUntilItIsDone() async throws {
    let node = fixture.start(slices: 3)
    func shares(_ body: () async throws -> Progress) async throws -> [Double] {
      var shares: [Double] = []
      repeat { shares.append(try await body().done) } while shares.last ?? 1 < 1
      return shares
    }
    #expect(try await shares { try await node.ensureVolume(volume, fixture.volumeRequest()) } == [1])
    fixture.disk.write(1, to: volume)
    let thirds = [1.0 / 3, 2.0 / 3, 1]
    #expect(try await shares { try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)) } == thirds)
    fixture.disk.write(2, to: volume)
    let request = fixture.volumeRequest(source: .snapshot(snapshot, of: volume))
    #expect(try await shares { try await node.ensureVolume(copy, request) } == thirds)
    #expect(fixture.disk.content(of: copy)?.stamp == 1)
    #expect(try await shares { try await node.revertVolume(volume, fixture.revertRequest(2, to: snapshot)) } == thirds)
    #expect(fixture.disk.content(of: volume)?.stamp == 1)
    #expect(
      try await shares { try await node.removeSnapshot(snapshot, fixture.snapshotRemoval(volume, 2)) } == thirds)
    #expect(try await shares { try await node.removeVolume(volume, fixture.removal(3)) } == thirds)
    #expect(fixture.disk.contents == [copy] && fixture.disk.snapshotContents.isEmpty)
  }

  @Test func aVolumeIsGoneForEverybodyFromTheFirstAnswerOn() async throws {
    let node = fixture.start(slices: 3)
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    #expect(try await !node.removeVolume(volume, fixture.removal(2)).isComplete)
    #expect(try await node.inventory().volumes.isEmpty)
    #expect(
      await code { _ = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment)) }
        == .notFound)
  }

  @Test func callsAboutAVolumeItsSnapshotsAndItsCopiesExcludeEachOther() async throws {
    let (running, overlaps, steps) = (Shared(Set<String>()), Shared([String]()), Shared(0))
    let backend = InMemoryBackend(name: "mem", disk: fixture.disk, slices: 2) { step throws(StorageError) in
      let parts = step.split(separator: ".")
      guard let call = parts.first.map(String.init), !["volume", "volumes", "snapshots"].contains(call) else { return }
      // Everything below is about one volume: nothing may begin before the other has ended.
      if parts.count == 1 {
        let others = running.withLock { running in
          defer { running.insert(call) }
          return running
        }
        if !others.isEmpty { overlaps.withLock { $0.append("\(call) during \(others)") } }
        steps.withLock { $0 += 1 }
        for _ in 0..<20 { await Task.yield() }
        running.withLock { _ = $0.remove(call) }
      }
    }
    let node = NodeService(
      NodeIdentity(name: "n1", address: ""), drivers: NodeDrivers(backends: [backend]), exports: InMemoryRecordStore(),
      connections: InMemoryRecordStore(), logger: .silent)
    _ = try await node.ensureVolume(volume, fixture.volumeRequest())
    @Sendable func insist(_ call: () async throws -> Progress) async {
      do { _ = try await call() } catch let error as StorageError where error.code == .busy {
        await Task.yield()
        await insist(call)
      } catch {}
    }
    await withTaskGroup(of: Void.self) { group in
      for _ in 1...5 {
        let calls: [@Sendable () async throws -> Progress] = [
          { [fixture, volume, snapshot] in try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)) },
          { [fixture, volume] in
            try await node.ensureVolume(.random(), fixture.volumeRequest(source: .volume(volume)))
          },
          { [fixture, volume, snapshot] in
            try await node.ensureVolume(.random(), fixture.volumeRequest(source: .snapshot(snapshot, of: volume)))
          },
          { [fixture, volume, snapshot] in
            try await node.revertVolume(volume, fixture.revertRequest(2, to: snapshot))
          },
          { [fixture, volume] in try await node.ensureVolume(volume, fixture.volumeRequest(2)) },
          { [fixture, volume, snapshot] in
            try await node.removeSnapshot(snapshot, fixture.snapshotRemoval(volume, 1))
          },
        ]
        for call in calls { group.addTask { await insist(call) } }
      }
    }
    #expect(overlaps.withLock { $0 }.isEmpty)
    #expect(steps.withLock { $0 } > 20)
    #expect(node.locks.heldKeys == 0)
  }

  @Test func volumesThatNameEachOtherAsSourcesDoNotWaitForEver() async throws {
    let node = fixture.start()
    for id in [volume, copy] { _ = try await node.ensureVolume(id, fixture.volumeRequest()) }
    await withTaskGroup(of: Void.self) { group in
      for _ in 1...50 {
        for (id, source) in [(volume, copy), (copy, volume)] {
          group.addTask { [fixture] in
            _ = try? await node.ensureVolume(id, fixture.volumeRequest(source: .volume(source)))
          }
        }
      }
    }
    #expect(node.locks.heldKeys == 0)
  }
}

/// Notes whether snapshots and copies are asked for of volumes in use.
private struct AskedBackend: ForwardingBackend {
  let backend: any VolumeBackend
  let asked: Shared<[Bool]>

  init(_ backend: InMemoryBackend, asked: Shared<[Bool]>) {
    self.backend = backend
    self.asked = asked
  }

  var name: String { backend.name }
  func pools() async -> [PoolReport] { await backend.pools() }

  func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<StoredVolume> {
    if request.source != nil { asked.withLock { $0.append(use.ofSource) } }
    return try await backend.ensure(id, request, use)
  }
  func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    asked.withLock { $0.append(inUse) }
    return try await backend.ensureSnapshot(id, request, inUse: inUse)
  }
}
