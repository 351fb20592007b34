import PumiceAgent
import PumiceModel
import PumiceWire
import Testing

/// Volumes made from snapshots and from other volumes.
extension BackendConformance {
  func checkThatCopiesAreVolumes() async throws {
    try await copiesBeginWithTheirSourceAndEndWithZeros()
    try await copiesAndTheirSourcesKnowNothingOfEachOther()
    try await aRepeatDoesNotCopyAgain()
    try await aCopyOfAVolumeInUseIsOfOneMomentOrRefused()
    try await copiesThatCannotBeLeaveNothing()
    try await halfMadeCopiesHeal()
  }

  private func copiesBeginWithTheirSourceAndEndWithZeros() async throws {
    let (volume, id) = (VolumeID.random(), SnapshotID.random())
    let made = try await written(volume, 1)
    _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
    try await write(2, to: made)
    for (source, stamp) in [(VolumeSource.snapshot(id, of: volume), 1), (.volume(volume), 2)] {
      for size in [ByteCount.mebibytes(4), .mebibytes(12)] {
        let copy = VolumeID.random()
        let request = self.request(size, revision: 4, name: "a copy", metadata: ["a": "1"], source: source)
        let copied = try await backend.ensured(copy, request)
        #expect(copied.id == copy)
        #expect(copied.pool == pool)
        #expect(copied.size == size)
        #expect(copied.revision == 4)
        #expect(copied.description == request.description)
        let (first, found) = (try await content(of: copied), try await backend.volume(copy))
        #expect(first == StampedContent(stamp, .mebibytes(4)))
        #expect(found == copied)
        let grown = try await backend.ensured(copy, self.request(.mebibytes(16), revision: 5, source: source))
        let second = try await content(of: grown)
        #expect(second == StampedContent(stamp, .mebibytes(4)))
        let reopened = try await hooks.restart().volume(copy)
        #expect(reopened == grown)
        try await clear([copy], [])
      }
    }
    let current = try await content(of: made)
    #expect(current == StampedContent(2, .mebibytes(4)))
    try await clear([volume], [(id, volume)])
  }

  private func copiesAndTheirSourcesKnowNothingOfEachOther() async throws {
    let (volume, id) = (VolumeID.random(), SnapshotID.random())
    let (ofSnapshot, ofVolume) = (VolumeID.random(), VolumeID.random())
    let made = try await written(volume, 1)
    _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
    let first = try await backend.ensured(ofSnapshot, request(made.size, source: .snapshot(id, of: volume)))
    let second = try await backend.ensured(ofVolume, request(made.size, source: .volume(volume)))

    try await write(2, to: made)
    for copy in [first, second] {
      let content = try await content(of: copy)
      #expect(content == StampedContent(1, made.size), "what is written to a source must not show in its copies")
    }
    try await write(3, to: first)
    try await write(4, to: second)
    try await checkThat(id, of: volume, made.size, holds: 1)
    let current = try await content(of: made)
    #expect(current == StampedContent(2, made.size), "what is written to a copy must not show in its source")

    try await backend.erase(id, of: volume, pool: pool)
    try await backend.erase(volume, pool: pool)
    for (copy, stamp) in [(first, 3), (second, 4)] {
      let content = try await content(of: copy)
      let reopened = try await hooks.restart().volume(copy.id)
      #expect(content == StampedContent(stamp, made.size), "a copy must outlive its source")
      #expect(reopened == copy)
    }
    try await clear([volume, ofSnapshot, ofVolume], [(id, volume)])
  }

  private func aRepeatDoesNotCopyAgain() async throws {
    let (volume, copy) = (VolumeID.random(), VolumeID.random())
    let made = try await written(volume, 1)
    let request = self.request(made.size, source: .volume(volume))
    let copied = try await backend.ensured(copy, request)
    try await write(2, to: copied)
    let repeated = try await backend.ensured(copy, request)
    let content = try await content(of: repeated)
    #expect(repeated == copied)
    #expect(content == StampedContent(2, made.size), "a volume that is there keeps its bytes")

    // Also where the source is gone by then.
    try await backend.erase(volume, pool: pool)
    let late = try await backend.ensured(copy, request)
    #expect(late == copied)
    try await clear([volume, copy], [])
  }

  private func aCopyOfAVolumeInUseIsOfOneMomentOrRefused() async throws {
    let (volume, copy) = (VolumeID.random(), VolumeID.random())
    let made = try await written(volume, 1, .mebibytes(8))
    let (request, use) = (self.request(.mebibytes(12), source: .volume(volume)), VolumeUse(ofSource: true))
    do throws(StorageError) {
      _ = try await backend.ensure(copy, request, use)
    } catch {
      #expect(error.code == .unsupported && !hooks.copiesVolumesInUse, "\(error)")
      let traces = try await traces(of: copy)
      #expect(traces.isEmpty, "a refused copy must leave nothing")
      return try await clear([volume], [])
    }
    // From here on the guest writes again, and the use may end and begin anew.
    try await write(2, to: made)
    _ = try await backend.ensure(copy, request, VolumeUse())
    try await write(3, to: made)
    let copied = try await backend.ensured(copy, request, use)
    let (content, current) = (try await content(of: copied), try await content(of: made))
    #expect((1...3).map { StampedContent($0, .mebibytes(8)) }.contains(content))
    #expect(current == StampedContent(3, .mebibytes(8)))
    try await clear([copy, volume], [])
  }

  private func copiesThatCannotBeLeaveNothing() async throws {
    let (volume, id, copy) = (VolumeID.random(), SnapshotID.random(), VolumeID.random())
    for source in [VolumeSource.snapshot(id, of: volume), .volume(volume)] {
      await expect(.notFound) { () throws(StorageError) in
        _ = try await backend.ensure(copy, request(.mebibytes(4), source: source))
      }
    }
    let made = try await written(volume, 1)
    await expect(.notFound) { () throws(StorageError) in
      _ = try await backend.ensure(copy, request(.mebibytes(4), source: .snapshot(id, of: volume)))
    }
    _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
    for source in [VolumeSource.snapshot(id, of: volume), .volume(volume)] {
      await expect(.invalid) { () throws(StorageError) in
        _ = try await backend.ensure(copy, request(.mebibytes(2), source: source))
      }
      if let size = hooks.excessiveSize {
        await expect(.noSpace) { () throws(StorageError) in
          _ = try await backend.ensured(copy, request(size, source: source))
        }
      }
    }
    let (traces, volumes) = (try await traces(of: copy), try await backend.volumes())
    #expect(traces.isEmpty, "a refused copy must leave nothing")
    #expect(volumes == [made])
    let current = try await content(of: made)
    #expect(current == StampedContent(1, made.size))
    try await clear([volume], [(id, volume)])
  }

  private func halfMadeCopiesHeal() async throws {
    let (volume, id, other) = (VolumeID.random(), SnapshotID.random(), SnapshotID.random())
    let made = try await written(volume, 1)
    _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
    try await write(2, to: made)
    _ = try await backend.snapshotted(other, snapshotRequest(of: volume))
    try await write(3, to: made)
    let sequels: [(VolumeSource?, StampedContent)] = [
      (.snapshot(id, of: volume), StampedContent(1, made.size)),
      (.snapshot(other, of: volume), StampedContent(2, made.size)),
      (.volume(volume), StampedContent(3, made.size)), (nil, .zeros),
    ]
    for planted in [VolumeSource.snapshot(id, of: volume), .volume(volume)] {
      for (source, expected) in sequels {
        let copy = VolumeID.random()
        try await hooks.plant(.copy(copy, of: planted))
        let (traces, found) = (try await traces(of: copy), try await backend.volume(copy))
        #expect(!traces.isEmpty)
        #expect(found == nil, "a half-made volume must not be seen as one")
        let copied = try await backend.ensured(copy, request(made.size, source: source))
        let content = try await content(of: copied)
        #expect(content == expected, "half-made from \(planted), then made from \(source.map { "\($0)" } ?? "nothing")")
        try await clear([copy], [])
      }
      let (removed, swept) = (VolumeID.random(), VolumeID.random())
      for copy in [removed, swept] { try await hooks.plant(.copy(copy, of: planted)) }
      try await backend.erase(removed, pool: pool)
      _ = try await hooks.restart()
      for copy in [removed, swept] {
        let traces = try await traces(of: copy)
        #expect(traces.isEmpty, "leavings of \(copy) are still there")
      }
    }
    let listed = try await backend.volumes()
    #expect(listed == [made])
    try await clear([volume], [(id, volume), (other, volume)])
  }
}
