import HashTreeCollections
import PumiceModel

/// A group snapshot with what its representation depends on.
struct GroupSnapshotRow: ListedRow {
  let snapshot: GroupSnapshot
  /// In Cinder's words: what it consists of makes it.
  let status: String

  static let singular = "group_snapshot"
  static let collection = "group_snapshots"
  static let metadataFilterSince: Microversion? = nil

  var id: GroupSnapshotID { snapshot.id }
  var name: String { snapshot.name }
  var metadata: [String: String] { [:] }
  var zone: String? { nil }
  var project: ProjectID { snapshot.project }

  init(_ snapshot: GroupSnapshot, with members: [Snapshot]) {
    self.snapshot = snapshot
    let states = Set(members.map(\.state))
    status =
      snapshot.state == .failed || states.contains(.error)
      ? "error" : snapshot.state == .taking || states.contains(.creating) ? "creating" : "available"
  }

  static func ids(of project: ProjectID, in tables: Tables) -> TreeSet<GroupSnapshotID> {
    TreeSet(tables.groupSnapshots.values.lazy.filter { $0.project == project }.map(\.id))
  }

  static func ids(in tables: Tables) -> [GroupSnapshotID] { Array(tables.groupSnapshots.keys) }

  static func createdAt(_ id: GroupSnapshotID, in tables: Tables) -> Timestamp? {
    tables.groupSnapshots[id]?.createdAt
  }

  static func row(_ id: GroupSnapshotID, in tables: Tables) -> GroupSnapshotRow? {
    tables.groupSnapshots[id].map { tables.row(of: $0) }
  }

  static func shelf(of api: CoordinatorAPI) -> RowShelf<GroupSnapshotRow> { api.groupSnapshots }

  static func test(
    _ name: String, _ value: String, of call: Call
  ) throws(StorageError) -> RowTest<GroupSnapshotRow>? {
    switch name {
    case "group_id":
      let id = GroupID(value)
      return { $0.snapshot.group == id }
    case "group_type_id": return { $0.snapshot.type.description == value }
    default: return nil
    }
  }

  func resource(in view: GroupSnapshotView) throws -> [UInt8] {
    try JSONBytes.encode(GroupSnapshotResource(self, in: view, isDetailed: true))
  }

  func reference(in view: GroupSnapshotView) throws -> [UInt8] {
    try JSONBytes.encode(GroupSnapshotResource(self, in: view, isDetailed: false))
  }

  enum SortKey: String, RowSortKey {
    case id, name, status
    case createdAt = "created_at"
    case group = "group_id"
    case type = "group_type_id"
  }

  static func compare(_ left: GroupSnapshotRow, _ right: GroupSnapshotRow, by key: SortKey) -> Int {
    let (one, other) = (left.snapshot, right.snapshot)
    return switch key {
    case .id: one.id.order(to: other.id)
    case .name: one.name.order(to: other.name)
    case .status: left.status.order(to: right.status)
    case .createdAt: one.createdAt.order(to: other.createdAt)
    case .group: one.group.order(to: other.group)
    case .type: one.type.order(to: other.type)
    }
  }
}

extension Tables {
  func row(of snapshot: GroupSnapshot) -> GroupSnapshotRow {
    GroupSnapshotRow(snapshot, with: snapshots(in: snapshot.id))
  }
}

/// How a group snapshot is shown: in which version.
struct GroupSnapshotView: ListedView {
  let showsProject: Bool

  init(_ call: Call) { showsProject = call.version >= Microversion(3, 58) }
}

/// A group snapshot as Cinder shows it since 3.14: in brief, or in detail.
struct GroupSnapshotResource: Encodable {
  let id: String
  @OrNull var name: String?
  let typeID: String
  var groupID: String?
  var status: String?
  var createdAt: String?
  var description: OrNull<String>?
  /// Since 3.58.
  var project: String?

  init(_ row: GroupSnapshotRow, in view: GroupSnapshotView, isDetailed: Bool) {
    let snapshot = row.snapshot
    id = snapshot.id.description
    name = snapshot.name.isEmpty ? nil : snapshot.name
    typeID = snapshot.type.description
    guard isDetailed else { return }
    groupID = snapshot.group.description
    status = row.status
    createdAt = snapshot.createdAt.cinder
    description = OrNull(wrappedValue: snapshot.summary.isEmpty ? nil : snapshot.summary)
    if view.showsProject { project = snapshot.project }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, status, description
    case typeID = "group_type_id"
    case groupID = "group_id"
    case createdAt = "created_at"
    case project = "project_id"
  }
}
