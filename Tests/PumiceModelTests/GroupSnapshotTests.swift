import PumiceModel
import Testing

@Suite struct GroupSnapshotTests {
  private static func make(isTakenTogether: Bool = true) -> GroupSnapshot {
    let group = Group(
      id: .random(), project: "p", name: "g", type: .random(), volumeTypes: [.random()], createdAt: .start)
    return GroupSnapshot(
      id: .random(), of: group, name: "s", isTakenTogether: isTakenTogether, createdAt: .start)
  }

  @Test func itIsPendingOnlyWhereItsSnapshotsAreTakenTogether() throws {
    #expect(Self.make().isPending)
    #expect(!Self.make(isTakenTogether: false).isPending)
  }

  @Test func aTryIsBegunOnceAndEndsOnce() throws {
    var taken = Self.make()
    try taken.begin()
    let begun = taken
    #expect(throws: StorageError.self) { try taken.begin() }
    #expect(taken == begun && taken.isPending, "A try that was begun is still to be ended.")
    try taken.finish()
    #expect(!taken.isPending && taken.state == .taken)
    #expect(throws: StorageError.self) { try taken.fail("late") }

    var failed = begun
    try failed.fail("why")
    #expect(!failed.isPending && failed.failure == "why")
    #expect(throws: StorageError.self) { try failed.finish() }
    #expect(throws: StorageError.self) { try failed.begin() }
  }

  @Test func aSnapshotThatIsTakenTogetherWaitsForThat() throws {
    let volume = Volume.make()
    func snapshot(_ isTakenTogether: Bool) -> Snapshot {
      Snapshot(
        id: .random(), of: volume, on: .vg1, name: "", partOf: .random(), isTakenTogether: isTakenTogether,
        createdAt: .start)
    }
    #expect(snapshot(false).pendingWork == .take(.vg1))
    var together = snapshot(true)
    #expect(together.pendingWork == nil)
    try together.fail("why", at: .start)
    try together.beginDeleting(at: .start)
    #expect(together.pendingWork == .erase(.vg1))
  }
}
