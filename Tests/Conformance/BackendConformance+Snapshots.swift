import PumiceAgent
import PumiceModel
import PumiceWire
import Testing

extension BackendConformance {
  func checkThatSnapshotsHold() async throws {
    try await snapshotsKeepTheContentOfTheirMoment()
    try await aSnapshotOfAVolumeInUseIsTakenInAnInstantOrNotAtAll()
    try await volumesWithSnapshotsAreNotRemoved()
    try await snapshotsOfWhatIsNotThereAreRefused()
    try await halfMadeSnapshotsHeal()
  }

  private func snapshotsKeepTheContentOfTheirMoment() async throws {
    let (volume, id) = (VolumeID.random(), SnapshotID.random())
    let made = try await written(volume, 1, .mebibytes(8))
    var request = snapshotRequest(of: volume)
    request.revision = 3
    request.description.name = "before \"upgrade\"\n"
    request.description.metadata = ["a": "1", "b": ""]
    let snapshot = try await backend.snapshotted(id, request)
    #expect(
      snapshot
        == StoredSnapshot(
          id: id, of: volume, pool: pool, size: .mebibytes(8), revision: 3, description: request.description))

    try await write(2, to: made)
    let grown = try await backend.ensured(volume, self.request(.mebibytes(16), revision: 2))
    try await write(3, to: grown)
    let repeated = try await backend.snapshotted(id, request)
    let listed = try await backend.snapshots()
    let reopened = try await hooks.restart().snapshots()
    #expect(repeated == snapshot)
    #expect(listed == [snapshot])
    #expect(reopened == [snapshot], "a snapshot must outlive the agent")
    try await checkThat(id, of: volume, .mebibytes(8), holds: 1)
    let current = try await content(of: grown)
    let volumes = try await backend.volumes()
    #expect(current == StampedContent(3, .mebibytes(16)))
    #expect(volumes == [grown], "a snapshot is no volume")
    try await clear([volume], [(id, volume)])
  }

  private func aSnapshotOfAVolumeInUseIsTakenInAnInstantOrNotAtAll() async throws {
    let (volume, id) = (VolumeID.random(), SnapshotID.random())
    let made = try await written(volume, 1, .mebibytes(8))
    do throws(StorageError) {
      let first = try await backend.ensureSnapshot(id, snapshotRequest(of: volume), inUse: true)
      if case .done(let snapshot) = first { #expect(snapshot.size == .mebibytes(8)) }
    } catch {
      #expect(error.code == .unsupported, "\(error)")
      #expect(error.message.hasSuffix("."))
      let (traces, snapshots) = (try await traces(of: id), try await backend.snapshots())
      #expect(traces.isEmpty, "a refused snapshot must leave nothing")
      #expect(snapshots.isEmpty)
      return try await clear([volume], [])
    }
    // From here on the guest writes again.
    try await write(2, to: made)
    _ = try await backend.snapshotted(id, snapshotRequest(of: volume), inUse: true)
    try await checkThat(id, of: volume, .mebibytes(8), holds: 1, 2)
    try await clear([volume], [(id, volume)])
  }

  private func volumesWithSnapshotsAreNotRemoved() async throws {
    let volume = VolumeID.random()
    let ids = [SnapshotID.random(), SnapshotID.random()]
    let made = try await written(volume, 1)
    for (number, id) in ids.enumerated() {
      try await write(number + 2, to: made)
      _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
    }
    try await write(4, to: made)
    for (number, id) in ids.enumerated() {
      await expect(.inUse) { () throws(StorageError) in
        _ = try await backend.remove(volume, pool: pool)
      }
      let (kept, current) = (try await backend.volume(volume), try await content(of: made))
      #expect(kept == made)
      #expect(current == StampedContent(4, made.size))
      for _ in 0..<2 {
        try await backend.erase(id, of: volume, pool: pool)
        let (traces, left) = (try await traces(of: id), try await backend.snapshots())
        #expect(traces.isEmpty)
        #expect(left.map(\.id) == Array(ids[(number + 1)...]))
      }
      if number == 0 { try await checkThat(ids[1], of: volume, made.size, holds: 3) }
    }
    let current = try await content(of: made)
    #expect(current == StampedContent(4, made.size), "the removal of a snapshot must leave the volume as it is")
    try await clear([volume], [])
  }

  private func snapshotsOfWhatIsNotThereAreRefused() async throws {
    let (volume, id) = (VolumeID.random(), SnapshotID.random())
    for inUse in [false, true] {
      await expect(.notFound) { () throws(StorageError) in
        _ = try await backend.ensureSnapshot(id, snapshotRequest(of: volume), inUse: inUse)
      }
    }
    try await backend.erase(id, of: volume, pool: pool)
    _ = try await backend.ensured(volume, request(.mebibytes(4)))
    var elsewhere = snapshotRequest(of: volume)
    elsewhere.pool = "no-such-pool"
    await expect(.notFound) { () throws(StorageError) in
      _ = try await backend.ensureSnapshot(id, elsewhere, inUse: false)
    }
    let (traces, snapshots) = (try await traces(of: id), try await backend.snapshots())
    #expect(traces.isEmpty, "a refused snapshot must leave nothing")
    #expect(snapshots.isEmpty)
    try await clear([volume], [])
  }

  private func halfMadeSnapshotsHeal() async throws {
    let volume = VolumeID.random()
    let ids = (0..<3).map { _ in SnapshotID.random() }
    let made = try await written(volume, 1)
    for id in ids {
      try await hooks.plant(.snapshot(id, of: volume))
      let (traces, snapshots) = (try await traces(of: id), try await backend.snapshots())
      #expect(!traces.isEmpty)
      #expect(snapshots.isEmpty, "a half-made snapshot must not be seen as one")
    }
    // The crash was long ago; what was planted then is not the content of this moment.
    try await write(2, to: made)
    _ = try await backend.snapshotted(ids[0], snapshotRequest(of: volume))
    try await write(3, to: made)
    try await checkThat(ids[0], of: volume, made.size, holds: 1, 2)
    try await backend.erase(ids[0], of: volume, pool: pool)
    try await backend.erase(ids[1], of: volume, pool: pool)
    _ = try await hooks.restart()
    for id in ids {
      let traces = try await traces(of: id)
      #expect(traces.isEmpty, "leavings of \(id) are still there")
    }
    let current = try await content(of: made)
    #expect(current == StampedContent(3, made.size))
    try await clear([volume], [])
  }

  func worksOnTheSnapshotsOfManyVolumesAtOnce() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...max(1, hooks.crowd / 3) {
        group.addTask {
          let (volume, copy, id) = (VolumeID.random(), VolumeID.random(), SnapshotID.random())
          let made = try await written(volume, 2 * number)
          _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
          try await write(2 * number + 1, to: made)
          let copied = try await backend.ensured(copy, request(made.size, source: .snapshot(id, of: volume)))
          let reverted = try await backend.reverted(volume, revertRequest(2, to: id))
          for each in [copied, reverted] {
            let content = try await content(of: each)
            #expect(content == StampedContent(2 * number, made.size))
          }
          try await clear([volume, copy], [(id, volume)])
        }
      }
      try await group.waitForAll()
    }
  }
}

// MARK: Steps

extension BackendConformance {
  func snapshotRequest(of volume: VolumeID) -> SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: volume, backend: backend.name, pool: pool,
      description: VolumeDescription(name: "a snapshot", project: "project", type: "__DEFAULT__"))
  }

  func revertRequest(_ revision: Revision, to snapshot: SnapshotID) -> RevertRequest {
    RevertRequest(revision: revision, snapshot: snapshot, backend: backend.name, pool: pool)
  }

  /// A new volume, overwritten with the stamp.
  func written(_ id: VolumeID, _ stamp: Int, _ size: ByteCount = .mebibytes(4)) async throws -> StoredVolume {
    let volume = try await backend.ensured(id, request(size))
    try await write(stamp, to: volume)
    return volume
  }

  /// Checks that the snapshot holds one of the stamps, which a volume made from it shows.
  func checkThat(
    _ id: SnapshotID, of volume: VolumeID, _ size: ByteCount, holds stamps: Int...,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let copy = try await backend.ensured(.random(), request(size, source: .snapshot(id, of: volume)))
    let content = try await content(of: copy)
    #expect(stamps.map { StampedContent($0, size) }.contains(content), sourceLocation: sourceLocation)
    try await backend.erase(copy.id, pool: pool)
  }

  /// Removes all of it, and expects no trace.
  func clear(_ volumes: [VolumeID], _ snapshots: [(SnapshotID, VolumeID)]) async throws {
    for (id, volume) in snapshots {
      try await backend.erase(id, of: volume, pool: pool)
      let traces = try await traces(of: id)
      #expect(traces.isEmpty)
    }
    for id in volumes {
      try await backend.erase(id, pool: pool)
      let traces = try await traces(of: id)
      #expect(traces.isEmpty)
    }
  }
}
