import HashTreeCollections
import PumiceModel

/// A snapshot with what its representation depends on.
struct SnapshotRow: ListedRow {
  let snapshot: Snapshot
  let zone: String?

  static let singular = "snapshot"
  static let collection = "snapshots"
  static let metadataFilterSince: Microversion? = Microversion(3, 22)

  var id: SnapshotID { snapshot.id }
  var name: String { snapshot.name }
  /// The states are called as Cinder calls them.
  var status: String { snapshot.state.rawValue }
  var metadata: [String: String] { snapshot.metadata }
  var project: ProjectID { snapshot.project }

  static func ids(of project: ProjectID, in tables: Tables) -> TreeSet<SnapshotID> { tables.snapshotIDs(of: project) }

  static func ids(in tables: Tables) -> [SnapshotID] {
    tables.snapshots.values.filter { $0.state != .deleted }.map(\.id)
  }

  static func createdAt(_ id: SnapshotID, in tables: Tables) -> Timestamp? { tables.snapshots[id]?.createdAt }

  static func row(_ id: SnapshotID, in tables: Tables) -> SnapshotRow? {
    tables.snapshots[id].map { tables.row(of: $0) }
  }

  static func shelf(of api: CoordinatorAPI) -> RowShelf<SnapshotRow> { api.snapshots }

  static func test(
    _ name: String, _ value: String, of call: Call
  ) throws(StorageError) -> RowTest<SnapshotRow>? {
    guard name == "volume_id" else { return nil }
    let id = VolumeID(value)
    return { $0.snapshot.volume == id }
  }

  func resource(in view: SnapshotView) throws -> [UInt8] {
    try JSONBytes.encode(SnapshotResource(self, in: view, detailed: true))
  }

  func reference(in view: SnapshotView) throws -> [UInt8] {
    try JSONBytes.encode(SnapshotResource(self, in: view, detailed: false))
  }

  enum SortKey: String, RowSortKey {
    case id, name, size, status
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case volume = "volume_id"
  }

  static func compare(_ left: SnapshotRow, _ right: SnapshotRow, by key: SortKey) -> Int {
    let (one, other) = (left.snapshot, right.snapshot)
    return switch key {
    case .id: one.id.order(to: other.id)
    case .name: one.name.order(to: other.name)
    case .size: one.size.order(to: other.size)
    case .status: left.status.order(to: right.status)
    case .createdAt: one.createdAt.order(to: other.createdAt)
    case .updatedAt: (one.updatedAt?.milliseconds ?? 0).order(to: other.updatedAt?.milliseconds ?? 0)
    case .volume: one.volume.order(to: other.volume)
    }
  }
}

extension Tables {
  func row(of snapshot: Snapshot) -> SnapshotRow {
    SnapshotRow(snapshot: snapshot, zone: nodes[snapshot.pool.node]?.availabilityZone)
  }
}

/// How a snapshot is shown: in which version.
struct SnapshotView: ListedView {
  /// The greatest microversion, not over the requested one, that changed the representation.
  let tier: Microversion

  private static let tiers = [0, 14, 41, 65].map { Microversion(3, $0) }

  init(_ call: Call) {
    let version = call.version
    tier = Self.tiers.last { $0 <= version } ?? Microversion(3, 0)
  }
}
