import PumiceModel
import Testing

struct VolumeTests {
  private let later = Timestamp.start + .seconds(5)

  @Test func aLifeFromCreatingToDeleted() throws {
    var volume = Volume.make(size: .gibibytes(10))
    #expect(volume.state == .creating)
    #expect(volume.pendingWork == .place)
    #expect(!volume.occupiesPool)

    try volume.place(on: .vg1, availabilityZone: "nova", at: .start)
    #expect(volume.pendingWork == .provision(.vg1))
    #expect(volume.availabilityZone == "nova")
    #expect(volume.occupiesPool)

    try volume.confirm(at: later)
    #expect(volume.state == .available)
    #expect(volume.pendingWork == nil)
    #expect(volume.confirmedAt == later)

    try volume.beginExtending(to: .gibibytes(20), at: later)
    #expect(volume.pendingWork == .extend(.vg1, to: .gibibytes(20)))
    #expect(volume.size == .gibibytes(10))
    #expect(volume.promisedSize == .gibibytes(20))

    try volume.confirm(at: later)
    #expect(volume.size == .gibibytes(20))
    #expect(volume.targetSize == nil)

    try volume.beginDeleting(at: later)
    #expect(volume.pendingWork == .erase(.vg1))
    try volume.finishDeleting(at: later)
    #expect(volume.state == .deleted)
    #expect(volume.pendingWork == nil)
    #expect(volume.promisedSize == .zero)
    #expect(!volume.occupiesPool)
    #expect(volume.revision == 7)
  }

  @Test func aPoolThatFailsIsRememberedAndTheNextOneIsTried() throws {
    var volume = Volume.make(zone: nil)
    try volume.place(on: .vg1, availabilityZone: "a", at: .start)
    volume.retry.failed(StorageError(.noSpace, "full"), at: .start)

    try volume.abandonPool(because: StorageError(.noSpace, "vg is full."), at: later)
    #expect(volume.pendingWork == .place)
    #expect(volume.triedPools == [.vg1])
    #expect(volume.availabilityZone == volume.requestedZone)
    #expect(volume.retry.attempts == 0)
    #expect(volume.retry.lastError == "vg is full.")

    try volume.place(on: .vg2, availabilityZone: "b", at: later)
    #expect(volume.pendingWork == .provision(.vg2))
  }

  @Test func aVolumeWithoutPoolFailsWithAReasonAndIsDeletedAtOnce() throws {
    var volume = Volume.make()
    try volume.fail("No pool fits.", at: later)
    #expect(volume.state == .error)
    #expect(volume.failure == "No pool fits.")
    #expect(volume.pendingWork == nil)

    try volume.beginDeleting(at: later)
    #expect(volume.state == .deleted)
  }

  @Test func aFailedExtendKeepsTheOldSizeAndHasThreeExits() throws {
    var volume = try Self.volume(in: .errorExtending)
    #expect(volume.size == .gibibytes(10))
    #expect(volume.targetSize == nil)
    #expect(volume.promisedSize == .gibibytes(10))
    #expect(volume.failure == "no room")

    var extended = volume
    try extended.beginExtending(to: .gibibytes(11), at: later)
    #expect(extended.state == .extending && extended.failure == nil)

    var deleted = volume
    try deleted.beginDeleting(at: later)
    #expect(deleted.state == .deleting)

    try volume.reset(to: .available, at: later)
    #expect(volume.state == .available && volume.failure == nil)
  }

  @Test func aRevertThatIsGivenUpIsSettledBeforeTheVolumeIsFree() throws {
    var volume = try Self.volume(in: .reverting)
    #expect(volume.pendingWork == .revert(.vg1, to: SnapshotID(high: 1, low: 1)))
    try volume.giveUpReverting(at: later)
    #expect(volume.state == .reverting)
    #expect(volume.pendingWork == .settle(.vg1))
    #expect(throws: StorageError.self) { try volume.giveUpReverting(at: later) }
    try volume.finishReverting(at: later)
    #expect(volume.state == .available)
    #expect(volume.targetSnapshot == nil)
  }

  @Test func aDeleteThatIsGivenUpIsSettledBeforeTheVolumeIsFree() throws {
    var volume = try Self.volume(in: .deleting)
    let revision = volume.revision
    #expect(throws: StorageError.self) { try volume.finishKeeping(at: later) }
    try volume.giveUpDeleting(at: later)
    #expect(volume.state == .deleting && volume.revision > revision, "Calls that are under way are stale.")
    #expect(volume.pendingWork == .keep(.vg1))
    #expect(throws: StorageError.self) { try volume.giveUpDeleting(at: later) }
    var gone = volume
    try gone.finishDeleting(at: later)
    #expect(gone.pendingWork == nil)
    try volume.finishKeeping(at: later)
    #expect(volume.state == .available && volume.pendingWork == nil)
    try volume.beginDeleting(at: later)
    #expect(volume.pendingWork == .erase(.vg1), "It can be tried again.")
  }

  @Test func neverShrinks() throws {
    var volume = try Self.volume(in: .available)
    for size in [ByteCount.gibibytes(10), .gibibytes(9), .zero, ByteCount(-1)] {
      let error = #expect(throws: StorageError.self) { try volume.beginExtending(to: size, at: later) }
      #expect(error?.code == .invalid)
      #expect(error?.field == "new_size")
    }
    #expect(volume.state == .available)
  }

  /// Which transitions each state allows. Whatever is not here must throw `conflict` and change nothing.
  private static let allowed: [Volume.State: Set<String>] = [
    .creating: ["place", "abandonPool", "fail", "confirm"],
    .available: [
      "beginExtending", "beginReverting", "beginDeleting", "reset available", "offer", "confirmDescribed",
    ],
    .extending: ["confirm", "failExtending"],
    .errorExtending: ["beginExtending", "beginDeleting", "reset available"],
    .reverting: ["giveUpReverting", "finishReverting"],
    .awaitingTransfer: ["takeBack", "accept"],
    .error: ["beginDeleting", "reset error"],
    .deleting: ["finishDeleting"],
    .deleted: [],
  ]

  private static let transitions: [String: @Sendable (inout Volume) throws -> Void] = [
    "place": { try $0.place(on: .vg1, availabilityZone: "a", at: .start) },
    "abandonPool": { try $0.abandonPool(because: StorageError(.failed, "x"), at: .start) },
    "fail": { try $0.fail("x", at: .start) },
    "confirm": { try $0.confirm(at: .start) },
    "beginExtending": { try $0.beginExtending(to: .gibibytes(99), at: .start) },
    "failExtending": { try $0.failExtending("x", at: .start) },
    "beginReverting": { try $0.beginReverting(to: SnapshotID(high: 1, low: 1), at: .start) },
    "giveUpReverting": { try $0.giveUpReverting(at: .start) },
    "finishReverting": { try $0.finishReverting(at: .start) },
    "offer": { try $0.offer(at: .start) },
    "takeBack": { try $0.takeBack(at: .start) },
    "accept": { try $0.accept(into: "other", by: "otto", at: .start) },
    "confirmDescribed": { try $0.confirmDescribed(at: .start) },
    "beginDeleting": { try $0.beginDeleting(at: .start) },
    "finishDeleting": { try $0.finishDeleting(at: .start) },
    "reset available": { try $0.reset(to: .available, at: .start) },
    "reset error": { try $0.reset(to: .error, at: .start) },
    "reset creating": { try $0.reset(to: .creating, at: .start) },
    "reset extending": { try $0.reset(to: .extending, at: .start) },
    "reset deleting": { try $0.reset(to: .deleting, at: .start) },
    "reset deleted": { try $0.reset(to: .deleted, at: .start) },
    "reset errorExtending": { try $0.reset(to: .errorExtending, at: .start) },
  ]

  @Test(arguments: Volume.State.allCases)
  func everyArrowThatIsNotDrawnIsAConflictThatChangesNothing(_ state: Volume.State) throws {
    let allowed = try #require(Self.allowed[state])
    for (name, transition) in Self.transitions where !allowed.contains(name) {
      for before in try Self.volumes(in: state) {
        var volume = before
        let error = #expect(throws: StorageError.self, "\(name) from \(state)") { try transition(&volume) }
        #expect(error?.code == .conflict, "\(name) from \(state)")
        #expect(error?.message.contains(state.rawValue) == true, "\(name) from \(state)")
        #expect(volume == before, "\(name) from \(state)")
      }
    }
  }

  @Test(arguments: Volume.State.allCases)
  func everyArrowThatIsDrawnCanBeTakenAndRaisesTheRevision(_ state: Volume.State) throws {
    for name in try #require(Self.allowed[state]) {
      let transition = try #require(Self.transitions[name])
      let outcomes = try Self.volumes(in: state).filter { before in
        var volume = before
        guard (try? transition(&volume)) != nil else { return false }
        #expect(volume.revision == before.revision + 1, "\(name) from \(state)")
        return true
      }
      #expect(!outcomes.isEmpty, "\(name) from \(state) can't be taken")
    }
  }

  @Test(arguments: Volume.State.allCases)
  func everyStateHasAnExitOrIsTheEnd(_ state: Volume.State) throws {
    let exits = try #require(Self.allowed[state])
    #expect(exits.isEmpty == (state == .deleted))
  }

  @Test(arguments: [Volume.State.creating, .extending, .reverting, .deleting])
  func everyPassingStateHasPendingWork(_ state: Volume.State) throws {
    for volume in try Self.volumes(in: state) { #expect(volume.pendingWork != nil) }
  }

  @Test(arguments: [Volume.State.available, .errorExtending, .awaitingTransfer, .error, .deleted])
  func noRestingStateHasPendingWork(_ state: Volume.State) throws {
    for volume in try Self.volumes(in: state) where volume.isMislabelled != true {
      #expect(volume.pendingWork == nil)
    }
  }

  @Test func whoeverAcceptsAVolumeOwnsItAndItIsToSaySo() throws {
    var volume = try Self.volume(in: .awaitingTransfer)
    try volume.accept(into: "other", by: "otto", at: later)
    #expect(volume.project == "other" && volume.user == "otto" && volume.state == .available)
    #expect(volume.pendingWork == .describe(.vg1))
    var extended = volume
    try extended.beginExtending(to: .gibibytes(99), at: later)
    try extended.confirm(at: later)
    #expect(extended.pendingWork == nil, "The extend has said it already.")
    var offered = volume
    try offered.offer(at: later)
    #expect(offered.pendingWork == nil)
    try offered.takeBack(at: later)
    #expect(offered.pendingWork == .describe(.vg1), "Nobody has said it yet.")
    try volume.confirmDescribed(at: later)
    #expect(volume.pendingWork == nil)
  }

  @Test func aNewStateForgetsOldFailures() throws {
    var volume = try Self.volume(in: .available)
    volume.retry.failed(StorageError(.timeout, "slow"), at: .start)
    try volume.beginDeleting(at: later)
    #expect(volume.retry == Retry())
    #expect(volume.updatedAt == later)
  }

  @Test func messagesNameTheVolume() {
    var volume = Volume.make(name: "db")
    let error = #expect(throws: StorageError.self) { try volume.beginDeleting(at: .start) }
    #expect(error?.message == "Volume db is creating, so it can't be deleted.")
    let nameless = Volume.make(name: "")
    #expect(nameless.label == "Volume \(nameless.id)")
  }

  private static func volume(in state: Volume.State) throws -> Volume { try volumes(in: state)[0] }

  /// The volumes that a state can hold: on a pool, and on none where that differs.
  private static func volumes(in state: Volume.State) throws -> [Volume] {
    let fresh = Volume.make()
    var placed = fresh
    try placed.place(on: .vg1, availabilityZone: "nova", at: .start)
    var available = placed
    try available.confirm(at: .start)
    var other = available
    switch state {
    case .creating: return [fresh, placed]
    case .available:
      try other.offer(at: .start)
      try other.accept(into: "other", by: "otto", at: .start)
      return [available, other]
    case .awaitingTransfer: try other.offer(at: .start)
    case .extending, .errorExtending:
      try other.beginExtending(to: .gibibytes(20), at: .start)
      if state == .errorExtending { try other.failExtending("no room", at: .start) }
    case .reverting:
      try other.beginReverting(to: SnapshotID(high: 1, low: 1), at: .start)
      var givenUp = other
      try givenUp.giveUpReverting(at: .start)
      return [other, givenUp]
    case .error:
      other = fresh
      try other.fail("no pool", at: .start)
    case .deleting, .deleted:
      try other.beginDeleting(at: .start)
      if state == .deleted { try other.finishDeleting(at: .start) }
    }
    return [other]
  }
}
