import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct InventoryComparisonTests {
  private func stored(
    _ snapshot: Snapshot, backend: String = "ssd"
  ) -> Inventory.StoredSnapshot {
    .init(id: snapshot.id, volume: snapshot.volume, backend: backend, pool: "ssd", size: snapshot.size)
  }

  private func stored(_ volume: Volume, backend: String = "ssd") -> Inventory.StoredVolume {
    .init(id: volume.id, backend: backend, pool: "ssd", size: volume.size)
  }

  private func findings(_ inventory: Inventory, _ tables: Tables, on node: NodeName = "n1") -> [Finding] {
    InventoryComparison(node: node, inventory: inventory, known: tables).findings()
  }

  private func mend(_ inventory: Inventory, _ tables: inout Tables, known: Tables? = nil, on node: NodeName = "n1") {
    InventoryComparison(node: node, inventory: inventory, known: known ?? tables).mend(&tables, at: .start)
  }

  @Test func theDigestOfANodeThatHasWhatTheRowsSayIsTheExpectedOne() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    let inventory = Inventory(volumes: [stored(volume)], snapshots: [stored(snapshot)])
    #expect(fixture.tables.expectedDigest(of: "n1") == inventory.digest)
    #expect(findings(inventory, fixture.tables).isEmpty)
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    #expect(fixture.tables.expectedDigest(of: "n1") == inventory.digest)
    try fixture.tables.confirmErased(try fixture.row(snapshot), wiped: 0, at: .start)
    #expect(fixture.tables.expectedDigest(of: "n1") == Inventory(volumes: [stored(volume)]).digest)
  }

  @Test func anUnknownSnapshotIsShownAndLeftAlone() throws {
    var fixture = try TablesFixture()
    let stranger = Snapshot.make(of: .make())
    let inventory = Inventory(snapshots: [stored(stranger)])
    let finding = try #require(findings(inventory, fixture.tables).first)
    #expect(finding.kind == .orphanSnapshot && finding.resource == "\(stranger.id)")
    #expect(finding.detail.contains("\(stranger.volume)"))
    mend(inventory, &fixture.tables)
    #expect(fixture.tables.residues.isEmpty)
  }

  @Test func aDeletedSnapshotThatCameBackIsErased() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.snapshot(of: try fixture.volume())
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    try fixture.tables.confirmErased(try fixture.row(snapshot), wiped: 1, at: .start)
    let inventory = Inventory(snapshots: [stored(snapshot)])
    #expect(findings(inventory, fixture.tables).contains { $0.kind == .deletedSnapshot })
    mend(inventory, &fixture.tables)
    #expect(fixture.tables.residues.keys.map(\.snapshot) == [snapshot.id])
    let pending = fixture.tables.pending
    mend(inventory, &fixture.tables)
    #expect(fixture.tables.pending == pending, "It is erased once.")
  }

  @Test func leavingsOfAFailedSnapshotAreErased() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.order(snapshotOf: try fixture.volume())
    try fixture.tables.noteTakeFailure(
      snapshot, StorageError(.noSpace, "full"), policy: fixture.policy, at: .start, in: fixture.surroundings)
    fixture.tables.confirmErased(try #require(fixture.tables.residues.values.first))
    let inventory = Inventory(snapshots: [stored(snapshot)])
    #expect(findings(inventory, fixture.tables).contains { $0.kind == .deletedSnapshot })
    mend(inventory, &fixture.tables)
    #expect(fixture.tables.residues.keys.map(\.snapshot) == [snapshot.id])
  }

  @Test func whatChangedSinceTheInventoryWasReadIsLeftAlone() throws {
    var fixture = try TablesFixture()
    let snapshot = try fixture.snapshot(of: try fixture.volume())
    let known = fixture.tables
    try fixture.tables.deleteSnapshot(snapshot.id, of: nil, at: .start)
    try fixture.tables.confirmErased(try fixture.row(snapshot), wiped: 1, at: .start)
    mend(Inventory(snapshots: [stored(snapshot)]), &fixture.tables, known: known)
    #expect(fixture.tables.residues.isEmpty)
  }

  @Test func aMissingSnapshotIsNamed() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    _ = try fixture.order(snapshotOf: volume)
    let findings = findings(Inventory(volumes: [stored(volume)]), fixture.tables)
    #expect(findings.map(\.kind) == [.missingSnapshot], "One that is being taken is not missing.")
    #expect(findings.first?.resource == "\(snapshot.id)")
  }

  @Test func disksThatWereMovedToAnotherNodeAreNeverErased() throws {
    var fixture = try TablesFixture()
    let volume = try fixture.volume()
    let snapshot = try fixture.snapshot(of: volume)
    let inventory = Inventory(volumes: [stored(volume)], snapshots: [stored(snapshot)])
    let findings = findings(inventory, fixture.tables, on: "n2")
    #expect(findings.map(\.kind) == [.misplacedVolume, .misplacedSnapshot])
    mend(inventory, &fixture.tables, on: "n2")
    #expect(fixture.tables.residues.isEmpty)
  }

  @Test func whatAGivenUpPoolMadeAfterAllIsErased() throws {
    var fixture = try TablesFixture()
    try fixture.report("n2")
    let volume = try fixture.create(VolumeOrder(project: "demo", size: .gibibytes(1)))
    let pool = try #require(volume.pool)
    try fixture.tables.noteProvisionFailure(
      volume, StorageError(.noSpace, "full"), policy: fixture.policy, at: .start, in: fixture.surroundings)
    try fixture.tables.confirm(try fixture.row(volume), at: .start)
    fixture.tables.confirmErased(try #require(fixture.tables.residues.values.first))
    let inventory = Inventory(volumes: [stored(volume)])
    #expect(findings(inventory, fixture.tables, on: pool.node).map(\.kind) == [.misplacedVolume])
    mend(inventory, &fixture.tables, on: pool.node)
    #expect(fixture.tables.residues.keys.map(\.pool) == [pool])
  }

  @Test(arguments: Inventory.Leftover.Kind.allCases)
  func whatConnectionsHaveLeftIsShownAndLeftToTheNode(_ kind: Inventory.Leftover.Kind) throws {
    var fixture = try TablesFixture()
    var inventory = Inventory()
    let attachment = AttachmentID.random()
    inventory.leftovers = [
      .init(kind: kind, attachment: attachment, name: "session7", detail: "It was left."),
      .init(kind: kind, attachment: nil, name: "sdb", detail: "So was that."),
    ]
    let found = findings(inventory, fixture.tables)
    #expect(found.map(\.kind.rawValue) == [kind.rawValue, kind.rawValue])
    #expect(found.map(\.resource) == ["\(attachment)", "sdb"])
    #expect(found.map(\.detail) == ["It was left.", "So was that."])
    #expect(inventory.digest == Inventory().digest)
    mend(inventory, &fixture.tables)
    #expect(fixture.tables.residues.isEmpty)
  }
}
