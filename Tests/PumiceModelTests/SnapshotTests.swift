import PumiceModel
import Testing

struct SnapshotTests {
  private let later = Timestamp.start + .seconds(5)

  @Test func aLifeFromCreatingToDeleted() throws {
    var snapshot = try Self.snapshot(in: .creating)
    #expect(snapshot.pendingWork == .take(.vg1))
    #expect(snapshot.size == .gibibytes(10))
    #expect(snapshot.occupiesPool)

    try snapshot.confirm(at: later)
    #expect(snapshot.state == .available)
    #expect(snapshot.pendingWork == nil)
    #expect(snapshot.confirmedAt == later)

    try snapshot.beginDeleting(at: later)
    #expect(snapshot.pendingWork == .erase(.vg1))
    #expect(snapshot.promisedSize == .gibibytes(10))
    try snapshot.finishDeleting(at: later)
    #expect(snapshot.state == .deleted)
    #expect(snapshot.pendingWork == nil)
    #expect(snapshot.promisedSize == .zero)
    #expect(!snapshot.occupiesPool)
    #expect(snapshot.revision == 4)
  }

  @Test func oneThatWasFoundIsAsIfItHadBeenTaken() throws {
    let volume = Volume.make()
    let snapshot = Snapshot(
      adopting: SnapshotID(high: 1, low: 1), of: volume, on: .vg1, revision: 7, user: "u", name: "n", summary: "",
      metadata: [:], size: .gibibytes(3), at: later)
    #expect(snapshot.state == .available && snapshot.pendingWork == nil && snapshot.revision == 7)
    #expect(snapshot.size == .gibibytes(3) && snapshot.project == volume.project && snapshot.volume == volume.id)
    #expect(snapshot.confirmedAt == later && snapshot.createdAt == later)
    var left = snapshot
    try left.release(at: later)
    #expect(left.state == .deleted && left.pendingWork == nil && !left.occupiesPool)
    var going = snapshot
    try going.beginDeleting(at: later)
    #expect(throws: StorageError.self) { try going.release(at: later) }
  }

  @Test func oneThatFailedHasAReasonAndNoBytesAndCanBeDeleted() throws {
    var snapshot = try Self.snapshot(in: .error)
    #expect(snapshot.failure == "no room")
    #expect(!snapshot.occupiesPool)
    #expect(snapshot.pendingWork == nil)
    try snapshot.beginDeleting(at: later)
    #expect(snapshot.state == .deleting)
    #expect(snapshot.failure == nil)
  }

  @Test func itBelongsToWhomItsVolumeBelongs() throws {
    let volume = Volume.make(size: .gibibytes(3))
    let snapshot = Snapshot(id: .random(), of: volume, on: .vg1, name: "s", createdAt: .start)
    #expect(snapshot.project == volume.project)
    #expect(snapshot.volume == volume.id)
    #expect(snapshot.type == volume.type)
    #expect(snapshot.size == volume.size)
  }

  @Test func aSnapshotOfAVolumeInUseIsCrashConsistentUnlessMoreIsKnown() throws {
    var idle = try Self.snapshot(in: .creating)
    try idle.confirm(quiesced: true, at: later)
    #expect(idle.consistency == nil, "Nobody had the volume.")

    var crashed = try Self.snapshot(in: .creating)
    try crashed.noteUse()
    #expect(crashed.consistency == .crash)
    #expect(crashed.revision == 1, "What goes to the node is the same.")
    var quiesced = crashed
    try crashed.confirm(because: "No guest agent.", at: later)
    #expect(crashed.consistency == .crash && crashed.consistencyReason == "No guest agent.")
    try quiesced.confirm(quiesced: true, at: later)
    #expect(quiesced.consistency == .quiesced && quiesced.consistencyReason == nil)
    let error = #expect(throws: StorageError.self) { try quiesced.noteUse() }
    #expect(error?.code == .conflict)
  }

  /// Which transitions each state allows. Whatever is not here must throw `conflict` and change nothing.
  private static let allowed: [Snapshot.State: Set<String>] = [
    .creating: ["confirm", "fail"],
    .available: ["beginDeleting", "reset available"],
    .error: ["beginDeleting", "reset error"],
    .deleting: ["finishDeleting"],
    .deleted: [],
  ]

  private static let transitions: [String: @Sendable (inout Snapshot) throws -> Void] = [
    "confirm": { try $0.confirm(at: .start) },
    "fail": { try $0.fail("x", at: .start) },
    "beginDeleting": { try $0.beginDeleting(at: .start) },
    "finishDeleting": { try $0.finishDeleting(at: .start) },
    "reset creating": { try $0.reset(to: .creating) },
    "reset available": { try $0.reset(to: .available) },
    "reset error": { try $0.reset(to: .error) },
    "reset deleting": { try $0.reset(to: .deleting) },
    "reset deleted": { try $0.reset(to: .deleted) },
  ]

  @Test(arguments: Snapshot.State.allCases)
  func everyArrowThatIsNotDrawnIsAConflictThatChangesNothing(_ state: Snapshot.State) throws {
    let allowed = try #require(Self.allowed[state])
    for (name, transition) in Self.transitions where !allowed.contains(name) {
      let before = try Self.snapshot(in: state)
      var snapshot = before
      let error = #expect(throws: StorageError.self, "\(name) from \(state)") { try transition(&snapshot) }
      #expect(error?.code == .conflict, "\(name) from \(state)")
      #expect(error?.message.contains(state.rawValue) == true, "\(name) from \(state)")
      #expect(snapshot == before, "\(name) from \(state)")
    }
  }

  @Test(arguments: Snapshot.State.allCases)
  func everyArrowThatIsDrawnRaisesTheRevisionUnlessNothingChanges(_ state: Snapshot.State) throws {
    for name in try #require(Self.allowed[state]) {
      let before = try Self.snapshot(in: state)
      var snapshot = before
      let transition = try #require(Self.transitions[name])
      try transition(&snapshot)
      #expect(snapshot.revision == before.revision + (snapshot == before ? 0 : 1), "\(name) from \(state)")
      #expect(name.hasPrefix("reset") == (snapshot == before), "\(name) from \(state)")
    }
  }

  @Test(arguments: Snapshot.State.allCases)
  func exactlyThePassingStatesHavePendingWork(_ state: Snapshot.State) throws {
    let isPassing = state == .creating || state == .deleting
    #expect((try Self.snapshot(in: state).pendingWork != nil) == isPassing)
  }

  private static func snapshot(in state: Snapshot.State) throws -> Snapshot {
    var snapshot = Snapshot(id: .random(), of: .make(), on: .vg1, name: "s", createdAt: .start)
    switch state {
    case .creating: break
    case .available: try snapshot.confirm(at: .start)
    case .error: try snapshot.fail("no room", at: .start)
    case .deleting, .deleted:
      try snapshot.confirm(at: .start)
      try snapshot.beginDeleting(at: .start)
      if state == .deleted { try snapshot.finishDeleting(at: .start) }
    }
    return snapshot
  }
}
