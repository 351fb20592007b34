import PumiceAgent
import PumiceModel
import PumiceWire
import Testing

extension BackendConformance {
  func checkThatRevertsAreWhole() async throws {
    try await aRevertGivesTheContentBackOncePerRevision()
    try await anySnapshotCanBeRevertedTo()
    try await aVolumeThatHasGrownKeepsItsSize()
    try await revertsToWhatIsNotThereAreRefused()
    try await halfMadeRevertsHeal()
  }

  private func aRevertGivesTheContentBackOncePerRevision() async throws {
    let (volume, id) = (VolumeID.random(), SnapshotID.random())
    let made = try await written(volume, 1)
    let snapshot = try await backend.snapshotted(id, snapshotRequest(of: volume))
    for revision in [5, 8] as [Revision] {
      try await write(2, to: made)
      let reverted = try await backend.reverted(volume, revertRequest(revision, to: id))
      #expect(reverted.revision == revision)
      #expect(reverted.size == made.size)
      #expect(reverted.description == made.description)
      let (first, found) = (try await content(of: reverted), try await backend.volume(volume))
      #expect(first == StampedContent(1, made.size))
      #expect(found == reverted)
      let listed = try await backend.snapshots()
      #expect(listed == [snapshot], "a revert must leave the snapshot")

      try await write(3, to: reverted)
      for backend in [backend, try await hooks.restart()] {
        let repeated = try await backend.reverted(volume, revertRequest(revision, to: id))
        let second = try await content(of: repeated)
        #expect(repeated == reverted)
        #expect(second == StampedContent(3, made.size), "a late repeat must not take new writes away")
      }
    }
    try await checkThat(id, of: volume, made.size, holds: 1)
    try await clear([volume], [(id, volume)])
  }

  private func anySnapshotCanBeRevertedTo() async throws {
    let volume = VolumeID.random()
    let ids = (0..<3).map { _ in SnapshotID.random() }
    let made = try await backend.ensured(volume, request(.mebibytes(4)))
    for (number, id) in ids.enumerated() {
      try await write(number + 1, to: made)
      _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
    }
    try await write(9, to: made)
    for (step, number) in [2, 0, 1, 2].enumerated() {
      let reverted = try await backend.reverted(volume, revertRequest(Revision(step + 2), to: ids[number]))
      let content = try await content(of: reverted)
      #expect(content == StampedContent(number + 1, made.size))
      let left = try await backend.snapshots()
      #expect(Set(left.map(\.id)) == Set(ids))
      for (number, id) in ids.enumerated() { try await checkThat(id, of: volume, made.size, holds: number + 1) }
      try await write(9, to: reverted)
    }
    try await clear([volume], ids.map { ($0, volume) })
  }

  private func aVolumeThatHasGrownKeepsItsSize() async throws {
    let (volume, id) = (VolumeID.random(), SnapshotID.random())
    _ = try await written(volume, 1)
    _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
    let grown = try await backend.ensured(volume, request(.mebibytes(12), revision: 2))
    try await write(2, to: grown)
    let reverted = try await backend.reverted(volume, revertRequest(3, to: id))
    let content = try await content(of: reverted)
    #expect(reverted.size == .mebibytes(12), "a volume must never shrink")
    #expect(content == StampedContent(1, .mebibytes(4)), "what lies behind the snapshot's content must be zeros")
    try await clear([volume], [(id, volume)])
  }

  private func revertsToWhatIsNotThereAreRefused() async throws {
    let (volume, other) = (VolumeID.random(), VolumeID.random())
    let (id, missing) = (SnapshotID.random(), SnapshotID.random())
    let made = try await written(volume, 1)
    _ = try await written(other, 2)
    _ = try await backend.snapshotted(id, snapshotRequest(of: other))
    for (volume, id) in [(VolumeID.random(), id), (volume, missing), (volume, id)] {
      await expect(.notFound) { () throws(StorageError) in
        _ = try await backend.revert(volume, revertRequest(2, to: id))
      }
    }
    let (content, found) = (try await content(of: made), try await backend.volume(volume))
    #expect(content == StampedContent(1, made.size))
    #expect(found == made)
    let traces = try await traces(of: missing)
    #expect(traces.isEmpty)
    try await clear([volume, other], [(id, other)])
  }

  /// Whatever comes after a revert that was cut off: the volume is as before or as the snapshot, and stays as it is.
  private func halfMadeRevertsHeal() async throws {
    for sequel in ["repeat", "growth", "restart", "removal"] {
      let (volume, id) = (VolumeID.random(), SnapshotID.random())
      let made = try await written(volume, 1)
      _ = try await backend.snapshotted(id, snapshotRequest(of: volume))
      try await write(2, to: made)
      let before = try await traces(of: volume)
      try await hooks.plant(.revert(volume, to: id))
      let whole = [StampedContent(1, made.size), StampedContent(2, made.size)]
      switch sequel {
      case "repeat":
        let reverted = try await backend.reverted(volume, revertRequest(1000, to: id))
        let content = try await content(of: reverted)
        #expect(content == StampedContent(1, made.size))
      case "growth":
        let grown = try await backend.ensured(volume, request(.mebibytes(8), revision: 1000))
        let content = try await content(of: grown)
        #expect(whole.contains(content))
      case "restart":
        _ = try await hooks.restart()
        let (content, after) = (try await content(of: made), try await traces(of: volume))
        #expect(whole.contains(content))
        #expect(after == before, "leavings of a revert are still there")
        try await write(3, to: made)
        _ = try await hooks.restart()
        let later = try await self.content(of: made)
        #expect(later == StampedContent(3, made.size), "a revert that was cut off must not come back later")
      default: break
      }
      let left = try await backend.snapshots()
      #expect(left.map(\.id) == [id])
      try await checkThat(id, of: volume, made.size, holds: 1)
      try await clear([volume], [(id, volume)])
    }
  }
}
