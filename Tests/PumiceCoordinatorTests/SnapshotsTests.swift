import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct SnapshotsTests {
  /// Expects an error with this code whose message has this part.
  private func refused(
    _ code: StorageError.Code, _ part: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
  ) {
    let error = #expect(throws: StorageError.self, sourceLocation: sourceLocation, performing: body)
    #expect(error?.code == code, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    #expect(error?.message.contains(part) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
  }

  // MARK: Taking

  @Test func aSnapshotIsWorkForTheVolumesPoolAndCountsAtOnce() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.order(snapshotOf: volume)
    #expect(snapshot.pool == volume.pool)
    #expect(snapshot.size == volume.size)
    #expect(fixture.tables.pending == [.snapshot(snapshot.id)])
    #expect(fixture.tables.usage(of: "demo").snapshots == 1)
    #expect(fixture.tables.usage(of: "demo").gigabytes == 20)
    #expect(fixture.tables.snapshots(of: volume.id).map(\.id) == [snapshot.id])
  }

  @Test func anAttachedVolumeNeedsForce() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    try fixture.attach(volume)
    refused(.conflict, "force") { _ = try fixture.order(snapshotOf: volume) }
    _ = try fixture.order(snapshotOf: volume, force: true)
  }

  @Test(arguments: [PumiceModel.Attachment.State.attaching, .detaching, .withdrawing])
  func nothingReadsAVolumeWhoseHolderIsOnTheMove(state: PumiceModel.Attachment.State) throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    try fixture.attach(volume, upTo: state)
    refused(.conflict, state.rawValue) { _ = try fixture.order(snapshotOf: volume, force: true) }
    refused(.conflict, state.rawValue) { _ = try fixture.copy(.volume(volume.id)) }
  }

  @Test func onlyAnAvailableVolumeIsRead() throws {
    var fixture = try TablesFixture()
    let creating = try fixture.create(VolumeOrder(project: "demo", size: .gibibytes(1)))
    let extending = try fixture.volume()
    try fixture.tables.extendVolume(extending.id, of: nil, to: .gibibytes(11), at: .start)
    let reverting = try fixture.volume()
    let target = try fixture.snapshot(of: reverting)
    try fixture.tables.revertVolume(reverting.id, of: nil, to: target.id, at: .start)
    let deleting = try fixture.volume()
    try fixture.tables.deleteVolume(deleting.id, of: nil, at: .start)
    for (volume, state) in [
      (creating, "creating"), (extending, "extending"), (reverting, "reverting"), (deleting, "deleting"),
    ] {
      refused(.conflict, state) { _ = try fixture.order(snapshotOf: volume, force: true) }
      refused(.conflict, state) { _ = try fixture.copy(.volume(volume.id)) }
    }
  }

  @Test func theQuotaCountsSnapshotsAndTheirGigabytes() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume(size: 10)
    for (resource, limit) in [
      ("snapshots", 0), ("gigabytes", 19), ("snapshots___DEFAULT__", 0), ("gigabytes___DEFAULT__", 19),
    ] {
      fixture.tables.put(QuotaSet(project: "demo", limits: [resource: limit]))
      refused(.overQuota, resource) { _ = try fixture.order(snapshotOf: volume) }
    }
    fixture.tables.put(QuotaSet(project: "demo", limits: ["gigabytes": 20]))
    _ = try fixture.order(snapshotOf: volume)
    refused(.overQuota, "gigabytes") { _ = try fixture.create(VolumeOrder(project: "demo", size: .gibibytes(1))) }
  }

  @Test(arguments: [false, true])
  func aSnapshotTakesRoomOnItsPool(isThin: Bool) throws {
    var fixture = try TablesFixture(poolSize: .gibibytes(25), isThin: isThin)
    let volume = try fixture.volume(size: 10)
    let snapshot = try fixture.snapshot(of: volume)
    refused(.noSpace, "n1@ssd#ssd") { _ = try fixture.order(snapshotOf: volume) }
    #expect(try fixture.create(VolumeOrder(project: "demo", size: .gibibytes(6))).state == .error)
    #expect(try fixture.create(VolumeOrder(project: "demo", size: .gibibytes(5))).state == .creating)
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    try fixture.tables.confirmErased(try fixture.row(snapshot), wiped: 1, at: .start)
    #expect(try fixture.create(VolumeOrder(project: "demo", size: .gibibytes(10))).state == .creating)
  }

  @Test func aSnapshotOfBeforeTheReportIsInItsFreeSpaceAlready() throws {
    var fixture = try TablesFixture(poolSize: .gibibytes(100))
    let volume = try fixture.volume(size: 10)
    let pool = try #require(volume.pool)
    _ = try fixture.snapshot(of: volume)
    func unconfirmed() -> ByteCount? {
      fixture.tables.poolState(pool, policy: nil, at: .start)?.unconfirmed
    }
    #expect(unconfirmed() == .gibibytes(20))
    try fixture.report(poolSize: .gibibytes(100), at: .start + .seconds(5))
    #expect(unconfirmed() == .zero)
  }

  // MARK: What excludes what

  @Test func whileASnapshotIsTakenItsVolumeIsNeitherAttachedNorExtendedNorRevertedNorDeleted() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let first = try fixture.snapshot(of: volume)
    let snapshot = try fixture.order(snapshotOf: volume)
    let part = "\(snapshot.id)"
    refused(.conflict, part) { try fixture.attach(volume) }
    refused(.conflict, part) { try fixture.tables.extendVolume(volume.id, of: nil, to: .gibibytes(11), at: .start) }
    refused(.invalid, part) { try fixture.tables.revertVolume(volume.id, of: nil, to: first.id, at: .start) }
    refused(.conflict, "creating") { try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start) }
    refused(.inUse, "2 snapshots") { try fixture.tables.deleteVolume(volume.id, of: nil, at: .start) }
    refused(.conflict, "creating") {
      try fixture.tables.deleteVolume(volume.id, of: nil, cascades: true, at: .start)
    }
    try fixture.tables.confirm(snapshot, at: .start)
    try fixture.attach(volume)
  }

  @Test func whileACopyIsMadeItsSourceIsNeitherAttachedNorExtendedNorRevertedNorDeleted() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    let copy = try fixture.copy(.volume(volume.id))
    let part = "\(copy.id)"
    refused(.conflict, part) { try fixture.attach(volume) }
    refused(.conflict, part) { try fixture.tables.extendVolume(volume.id, of: nil, to: .gibibytes(11), at: .start) }
    refused(.conflict, part) { try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start) }
    refused(.conflict, part) { try fixture.tables.deleteVolume(volume.id, of: nil, cascades: true, at: .start) }
    try fixture.tables.confirm(copy, at: .start)
    try fixture.attach(volume)
  }

  @Test func whileAVolumeIsMadeFromASnapshotThatStaysAndItsVolumeIsNeitherRevertedNorDeleted() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let (other, snapshot) = (try fixture.snapshot(of: volume), try fixture.snapshot(of: volume))
    let copy = try fixture.copy(.snapshot(snapshot.id))
    let part = "\(copy.id)"
    refused(.conflict, part) { try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start) }
    refused(.conflict, part) { try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start) }
    refused(.conflict, part) { try fixture.tables.deleteVolume(volume.id, of: nil, cascades: true, at: .start) }
    try fixture.tables.deleteSnapshot(other.id, of: nil, at: .start)
    // The content of a snapshot does not change with its volume.
    try fixture.attach(volume)
    try fixture.tables.confirm(copy, at: .start)
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
  }

  @Test func aCopyWaitsForItsTurnOnABusyNodeForAsLongAsItTakes() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let copy = try fixture.copy(.volume(volume.id))
    for _ in 1...100 {
      let current = try #require(fixture.tables.volumes[copy.id])
      try fixture.tables.noteProvisionFailure(
        current, StorageError(.busy, "Others first."), policy: fixture.policy, at: .start, in: fixture.surroundings)
    }
    let waiting = try #require(fixture.tables.volumes[copy.id])
    #expect(waiting.state == .creating && waiting.retry.attempts == 0)
    #expect(waiting.retry.lastError == "Others first.")
  }

  @Test func aCopyThatFailedHoldsItsSourceNoMore() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let copy = try fixture.copy(.volume(volume.id))
    try fixture.tables.noteProvisionFailure(
      copy, StorageError(.noSpace, "The disk is full after all."), policy: fixture.policy, at: .start,
      in: fixture.surroundings)
    #expect(fixture.tables.copies(of: volume.id).isEmpty)
    try fixture.attach(volume)
  }

  // MARK: Copies

  @Test func aCopyTakesSizeTypeAndPoolFromItsSource() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume(size: 10)
    // Much more room, so that anything else would go there.
    try fixture.report("n2", poolSize: .gibibytes(100_000))
    let snapshot = try fixture.snapshot(of: volume)
    for source in [VolumeOrder.Source.snapshot(snapshot.id), .volume(volume.id)] {
      let copy = try fixture.copy(source)
      #expect(copy.size == .gibibytes(10))
      #expect(copy.type == volume.type)
      #expect(copy.pool == volume.pool)
      #expect(copy.source?.volume == volume.id)
      #expect(copy.pendingWork == volume.pool.map { .provision($0) })
    }
    #expect(try fixture.copy(.volume(volume.id), size: 12).size == .gibibytes(12))
    refused(.invalid, "size") { _ = try fixture.copy(.volume(volume.id), size: 9) }
    refused(.invalid, "size") { _ = try fixture.create(VolumeOrder(project: "demo", size: nil)) }
  }

  @Test func aCopyThatDoesNotFitNamesThePool() throws {
    var fixture = try TablesFixture(poolSize: .gibibytes(15))
    let volume = try fixture.volume(size: 10)
    try fixture.report("n2")
    let copy = try fixture.copy(.volume(volume.id))
    #expect(copy.state == .error)
    #expect(copy.failure?.contains("n1@ssd#ssd") == true)
    #expect(copy.failure?.contains("n2") == false)
  }

  @Test func theSourceMustBeThereAndTheProjects() throws {
    var fixture = try TablesFixture()
    let foreign = try fixture.volume(project: "other")
    refused(.notFound, "\(foreign.id)") { _ = try fixture.copy(.volume(foreign.id)) }
    let id = SnapshotID.random()
    refused(.notFound, "\(id)") { _ = try fixture.copy(.snapshot(id)) }
    let volume = try fixture.volume()
    let snapshot = try fixture.order(snapshotOf: volume)
    refused(.conflict, "creating") { _ = try fixture.copy(.snapshot(snapshot.id)) }
  }

  @Test func zoneAndTypeMustGoWithTheSource() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    try fixture.report("n2", zone: "mars")
    var order = VolumeOrder(project: "demo", size: nil)
    order.source = .volume(volume.id)
    order.availabilityZone = "mars"
    refused(.invalid, "availability_zone") { _ = try fixture.create(order) }
    order.availabilityZone = "nova"
    fixture.tables.put(VolumeType.make(id: .random(), name: "tape", extraSpecs: ["media": "tape"]))
    fixture.tables.put(VolumeType.make(id: .random(), name: "flash", extraSpecs: ["media": "ssd"]))
    order.type = "tape"
    refused(.invalid, "volume_type") { _ = try fixture.create(order) }
    order.type = "flash"
    #expect(try fixture.create(order).state == .creating)
  }

  @Test func aCopyThatAPoolCannotMakeGoesToNoOther() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    try fixture.report("n2", poolSize: .gibibytes(100_000))
    let copy = try fixture.copy(.volume(volume.id))
    try fixture.tables.noteProvisionFailure(
      copy, StorageError(.unsupported, "It is in use."), policy: fixture.policy, at: .start, in: fixture.surroundings)
    let failed = try fixture.row(copy)
    #expect(failed.state == .error)
    #expect(failed.failure == "It is in use.")
    #expect(fixture.tables.messages(about: copy.id).map(\.action) == [.create])
    let residue = try #require(fixture.tables.residues.values.first)
    #expect(residue.key.volume == copy.id && residue.key.pool == volume.pool)
    #expect(residue.revision > copy.revision)
  }

  @Test func aTransientFailureOfACopyIsTriedAgainForAMinute() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let copy = try fixture.copy(.volume(volume.id))
    var now = Timestamp.start
    while try fixture.row(copy).state == .creating {
      // The node is down by then, and waited for all the same.
      now = now + .seconds(120)
      try fixture.tables.noteProvisionFailure(
        try fixture.row(copy), StorageError(.unavailable, "away"), policy: fixture.policy, at: now,
        in: fixture.surroundings)
    }
    #expect(now == .start + .seconds(120 * Int64(fixture.policy.maxCopyAttempts)))
  }

  // MARK: Reverting

  @Test func onlyTheLatestSnapshotOfTheSameSizeWillDo() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let (first, second) = (try fixture.snapshot(of: volume), try fixture.snapshot(of: volume))
    let foreign = try fixture.snapshot(of: try fixture.volume())
    refused(.invalid, "latest") { try fixture.tables.revertVolume(volume.id, of: nil, to: first.id, at: .start) }
    refused(.invalid, "not a snapshot of") {
      try fixture.tables.revertVolume(volume.id, of: nil, to: foreign.id, at: .start)
    }
    refused(.notFound) { try fixture.tables.revertVolume(volume.id, of: nil, to: .random(), at: .start) }
    try fixture.tables.extendVolume(volume.id, of: nil, to: .gibibytes(11), at: .start)
    refused(.conflict, "extending") { try fixture.tables.revertVolume(volume.id, of: nil, to: second.id, at: .start) }
    try fixture.tables.confirm(try fixture.row(volume), at: .start)
    refused(.invalid, "size") { try fixture.tables.revertVolume(volume.id, of: nil, to: second.id, at: .start) }
    let third = try fixture.order(snapshotOf: try fixture.row(volume))
    try fixture.tables.confirm(third, at: .start)
    try fixture.tables.revertVolume(volume.id, of: nil, to: third.id, at: .start)
    #expect(try fixture.row(volume).pendingWork == volume.pool.map { .revert($0, to: third.id) })
  }

  @Test func aLaterSnapshotThatFailedHidesNothing() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    let failed = try fixture.order(snapshotOf: volume)
    try fixture.tables.noteTakeFailure(
      failed, StorageError(.noSpace, "full"), policy: fixture.policy, at: .start, in: fixture.surroundings)
    try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start)
  }

  @Test func aVolumeThatIsHeldIsNotReverted() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    try fixture.attach(volume)
    refused(.conflict, "attached") {
      try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start)
    }
  }

  @Test func whileItRevertsItsSnapshotsAreLeftAlone() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let (older, snapshot) = (try fixture.snapshot(of: volume), try fixture.snapshot(of: volume))
    try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start)
    for one in [older, snapshot] {
      refused(.conflict, "reverting") { try fixture.tables.deleteSnapshot(one.id, of: nil, at: .start) }
      refused(.conflict, "reverting") { _ = try fixture.copy(.snapshot(one.id)) }
    }
    refused(.conflict, "reverting") { try fixture.attach(volume) }
    refused(.conflict, "reverting") {
      try fixture.tables.extendVolume(volume.id, of: nil, to: .gibibytes(11), at: .start)
    }
    refused(.conflict, "reverting") {
      try fixture.tables.deleteVolume(volume.id, of: nil, cascades: true, at: .start)
    }
    try fixture.tables.confirmReverted(try fixture.row(volume), at: .start)
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
  }

  @Test func aRevertThatFailsForGoodIsSettledAndSaysWhy() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start)
    let asked = try fixture.row(volume)
    try fixture.tables.noteRevertFailure(
      asked, StorageError(.noSpace, "The pool is full."), policy: fixture.policy, at: .start, in: fixture.surroundings)
    let settling = try fixture.row(volume)
    #expect(settling.state == .reverting)
    #expect(settling.pendingWork == volume.pool.map { .settle($0) })
    #expect(settling.revision > asked.revision, "A late call must be older than what settles it.")
    let message = try #require(fixture.tables.messages(about: volume.id).first)
    #expect(message.action == .revert)
    #expect(message.text.contains("The pool is full.") && message.text.contains("old content"))
    refused(.conflict, "reverting") { try fixture.attach(volume) }
    try fixture.tables.confirmReverted(settling, at: .start)
    #expect(try fixture.row(volume).state == .available)
  }

  @Test func transientFailuresOfARevertEndAtLast() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start)
    for attempt in 1...fixture.policy.maxRevertAttempts {
      #expect(try fixture.row(volume).targetSnapshot == snapshot.id, "before attempt \(attempt)")
      try fixture.tables.noteRevertFailure(
        try fixture.row(volume), StorageError(.timeout, "slow"), policy: fixture.policy, at: .start,
        in: fixture.surroundings)
    }
    #expect(try fixture.row(volume).targetSnapshot == nil)
    // Nobody can say what an unanswered call did.
    #expect(fixture.tables.messages(about: volume.id).first?.text.contains("without saying so") == true)
  }

  // MARK: Deleting

  @Test func aVolumeWithSnapshotsIsDeletedOnlyWithThemAndAfterThem() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshots = [try fixture.snapshot(of: volume), try fixture.snapshot(of: volume)]
    refused(.inUse, "2 snapshots") { try fixture.tables.deleteVolume(volume.id, of: nil, at: .start) }
    try fixture.tables.deleteVolume(volume.id, of: nil, cascades: true, at: .start)
    #expect(try fixture.row(volume).state == .deleting)
    #expect(
      fixture.tables.pending == TreeSet(snapshots.map { .snapshot($0.id) }), "The volume waits for its snapshots.")
    try fixture.tables.confirmErased(try fixture.row(snapshots[0]), wiped: 1, at: .start)
    #expect(fixture.tables.pending == [.snapshot(snapshots[1].id)])
    try fixture.tables.confirmErased(try fixture.row(snapshots[1]), wiped: 1, at: .start)
    #expect(fixture.tables.pending == [.volume(volume.id)])
  }

  @Test func afterARestartAVolumeStillWaitsForItsSnapshots() async throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    try fixture.tables.deleteVolume(volume.id, of: nil, cascades: true, at: .start)
    let rows: [Row] = [.snapshot(try fixture.row(snapshot)), .volume(try fixture.row(volume))]
    for order in [rows, rows.reversed()] {
      var loaded = Tables()
      for row in order { loaded.load(row) }
      #expect(loaded.pending == [.snapshot(snapshot.id)])
    }
  }

  @Test func deletingTwiceIsHarmless() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.snapshot(of: try fixture.volume())
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    let deleting = try fixture.row(snapshot)
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    #expect(try fixture.row(snapshot) == deleting)
  }

  @Test func nameAndQuotaAreFreeWhileBytesAreWiped() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    try fixture.tables.deleteVolume(volume.id, of: nil, cascades: true, at: .start)
    try fixture.tables.confirmErased(try fixture.row(snapshot), wiped: 0.1, at: .start)
    try fixture.tables.confirmErased(try fixture.row(volume), wiped: 0.2, at: .start)
    #expect(fixture.tables.usage(of: "demo") == QuotaUsage())
    #expect(fixture.tables.snapshots[snapshot.id]?.state == .deleted)
    #expect(fixture.tables.volumes[volume.id]?.state == .deleted)
    #expect(fixture.tables.residues.values.map { $0.retry.progress ?? 0 }.sorted() == [0.1, 0.2])
    let pool = try #require(volume.pool)
    let key = Residue.Key(volume: volume.id, snapshot: snapshot.id, pool: pool)
    var residue = try #require(fixture.tables.residues[key])
    fixture.tables.noteFailure(residue, StorageError(.unavailable, "away"), at: .start)
    residue = try #require(fixture.tables.residues[key])
    #expect(residue.retry.attempts == 1)
    fixture.tables.noteProgress(residue, 0.5, at: .start)
    residue = try #require(fixture.tables.residues[key])
    #expect(residue.retry.attempts == 0 && residue.retry.progress == 0.5)
    fixture.tables.confirmErased(residue)
    #expect(fixture.tables.residues[key] == nil)
  }

  // MARK: Failures

  @Test func aSnapshotThatCannotBeTakenEndsWithAReasonAndLeavesNothing() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.order(snapshotOf: volume)
    try fixture.tables.noteTakeFailure(
      snapshot, StorageError(.unsupported, "It is in use."), policy: fixture.policy, at: .start,
      in: fixture.surroundings)
    let failed = try fixture.row(snapshot)
    #expect(failed.state == .error && failed.failure == "It is in use.")
    let residue = try #require(fixture.tables.residues.values.first)
    #expect(residue.key.snapshot == snapshot.id && residue.revision > snapshot.revision)
    let message = try #require(fixture.tables.messages(about: volume.id).first)
    #expect(message.snapshot == snapshot.id && message.action == .takeSnapshot)
  }

  @Test func aSnapshotThatFailedAndIsDeletedTakesItsLeavingsAlong() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.order(snapshotOf: try fixture.volume())
    try fixture.tables.noteTakeFailure(
      snapshot, StorageError(.unsupported, "It is in use."), policy: fixture.policy, at: .start,
      in: fixture.surroundings)
    #expect(fixture.tables.residues.count == 1)
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    // The pool has seen this newer call, and would refuse the residue's for ever.
    try fixture.tables.confirmErased(try fixture.row(snapshot), wiped: 1, at: .start)
    #expect(fixture.tables.residues.isEmpty)
    #expect(fixture.tables.pending.isEmpty)
  }

  @Test func transientFailuresAreTriedAgainForAWhile() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.order(snapshotOf: try fixture.volume())
    for _ in 1..<fixture.policy.maxCopyAttempts {
      try fixture.tables.noteTakeFailure(
        try fixture.row(snapshot), StorageError(.unavailable, "away"), policy: fixture.policy, at: .start,
        in: fixture.surroundings)
      #expect(try fixture.row(snapshot).state == .creating)
    }
    try fixture.tables.noteTakeFailure(
      try fixture.row(snapshot), StorageError(.unavailable, "away"), policy: fixture.policy, at: .start,
      in: fixture.surroundings)
    #expect(try fixture.row(snapshot).state == .error)
  }

  @Test func aLostNodeHoldsNothingUp() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    let taking = try fixture.order(snapshotOf: volume)
    try fixture.tables.setNode("n1", isLost: true, at: .start)
    try fixture.tables.noteTakeFailure(
      taking, StorageError(.unavailable, "lost"), policy: fixture.policy, at: .start, in: fixture.surroundings)
    #expect(try fixture.row(taking).state == .error)
    #expect(fixture.tables.residues.isEmpty)
    try fixture.tables.deleteSnapshot(taking.id, of: nil, at: .start)
    try fixture.tables.confirmErased(try fixture.row(taking), wiped: 1, at: .start)
    try fixture.tables.revertVolume(volume.id, of: nil, to: snapshot.id, at: .start)
    try fixture.tables.noteRevertFailure(
      try fixture.row(volume), StorageError(.unavailable, "lost"), policy: fixture.policy, at: .start,
      in: fixture.surroundings)
    #expect(try fixture.row(volume).targetSnapshot == nil)
  }

  @Test func anOutcomeOfAnEarlierRevisionChangesNothing() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.snapshot(of: try fixture.volume())
    let before = try fixture.row(snapshot)
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    let deleting = try fixture.row(snapshot)
    try fixture.tables.confirm(before, at: .start)
    try fixture.tables.confirmErased(before, wiped: 1, at: .start)
    fixture.tables.noteEraseFailure(before, StorageError(.failed, "x"), at: .start)
    fixture.tables.noteProgress(before, 0.5, at: .start)
    #expect(try fixture.row(snapshot) == deleting)
  }

  // MARK: Edits

  @Test func onlyNoOpResetsAreTaken() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.snapshot(of: try fixture.volume())
    try fixture.tables.resetSnapshot(snapshot.id, to: .available)
    refused(.conflict, "available") { try fixture.tables.resetSnapshot(snapshot.id, to: .error) }
    refused(.notFound) { try fixture.tables.resetSnapshot(.random(), to: .available) }
  }

  @Test func aSnapshotIsRenamedByItsOwnerOnly() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.snapshot(of: try fixture.volume())
    _ = try fixture.tables.editSnapshot(snapshot.id, of: "demo", name: "x", at: .start)
    #expect(try fixture.row(snapshot).name == "x")
    refused(.notFound) { _ = try fixture.tables.editSnapshot(snapshot.id, of: "other", name: "y", at: .start) }
  }
}
