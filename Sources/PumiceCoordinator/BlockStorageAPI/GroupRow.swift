import HashTreeCollections
import PumiceModel

/// A group with what its representation depends on.
struct GroupRow: ListedRow {
  let group: Group
  /// Its volumes, oldest first.
  let volumes: [VolumeID]
  /// In Cinder's words. A group is a row and nothing else; only one that is made from something comes with volumes.
  let status: String

  static let singular = "group"
  static let collection = "groups"
  static let links = "group_links"
  static let metadataFilterSince: Microversion? = nil

  var id: GroupID { group.id }
  var name: String { group.name }
  var metadata: [String: String] { [:] }
  var zone: String? { group.availabilityZone }
  var project: ProjectID { group.project }

  init(_ group: Group, with members: [Volume]) {
    self.group = group
    volumes = members.map(\.id)
    let states = group.source == nil ? [] : Set(members.filter { $0.source != nil }.map(\.state))
    status = states.contains(.error) ? "error" : states.contains(.creating) ? "creating" : "available"
  }

  static func ids(of project: ProjectID, in tables: Tables) -> TreeSet<GroupID> {
    TreeSet(tables.groups.values.lazy.filter { $0.project == project }.map(\.id))
  }

  static func ids(in tables: Tables) -> [GroupID] { Array(tables.groups.keys) }
  static func createdAt(_ id: GroupID, in tables: Tables) -> Timestamp? { tables.groups[id]?.createdAt }
  static func row(_ id: GroupID, in tables: Tables) -> GroupRow? { tables.groups[id].map { tables.row(of: $0) } }
  static func shelf(of api: CoordinatorAPI) -> RowShelf<GroupRow> { api.groups }

  static func test(_ name: String, _ value: String, of call: Call) throws(StorageError) -> RowTest<GroupRow>? {
    switch name {
    case "group_type", "group_type_id": return { $0.group.type.description == value }
    case "source_group_id":
      let id = GroupID(value)
      return { row in id.map { row.group.source == .group($0) } ?? false }
    case "group_snapshot_id":
      let id = GroupSnapshotID(value)
      return { row in id.map { row.group.source == .groupSnapshot($0) } ?? false }
    case "list_volume":
      // It says what is shown, and of which groups it does not.
      _ = try RowFilter<GroupRow>.flag(name, value)
      return { _ in true }
    default: return nil
    }
  }

  func resource(in view: GroupView) throws -> [UInt8] {
    try JSONBytes.encode(GroupResource(self, in: view, isDetailed: true))
  }

  func reference(in view: GroupView) throws -> [UInt8] {
    try JSONBytes.encode(GroupResource(self, in: view, isDetailed: false))
  }

  enum SortKey: String, RowSortKey {
    case id, name, status
    case createdAt = "created_at"
    case type = "group_type_id"
    case zone = "availability_zone"
  }

  static func compare(_ left: GroupRow, _ right: GroupRow, by key: SortKey) -> Int {
    let (one, other) = (left.group, right.group)
    return switch key {
    case .id: one.id.order(to: other.id)
    case .name: one.name.order(to: other.name)
    case .status: left.status.order(to: right.status)
    case .createdAt: one.createdAt.order(to: other.createdAt)
    case .type: one.type.order(to: other.type)
    case .zone: (one.availabilityZone ?? "").order(to: other.availabilityZone ?? "")
    }
  }
}

extension Tables {
  func row(of group: Group) -> GroupRow { GroupRow(group, with: volumes(in: group)) }
}

/// How a group is shown: in which version, with its volumes or without.
struct GroupView: ListedView {
  /// The greatest microversion, not over the requested one, that changed the representation.
  let tier: Microversion
  let showsVolumes: Bool

  private static let tiers = [13, 14, 25, 38, 58].map { Microversion(3, $0) }

  init(_ call: Call) {
    let version = call.version
    tier = Self.tiers.last { $0 <= version } ?? Microversion(3, 13)
    showsVolumes = tier >= Microversion(3, 25) && (try? call.query.flag("list_volume")) == true
  }
}

/// A group as Cinder shows it since 3.13: in brief, or in detail.
struct GroupResource: Encodable {
  let id: String
  @OrNull var name: String?
  var status: String?
  var zone: OrNull<String>?
  var createdAt: String?
  var description: OrNull<String>?
  var type: String?
  var volumeTypes: [String]?
  /// Since 3.14.
  var groupSnapshotID: OrNull<String>?
  var sourceGroupID: OrNull<String>?
  /// Since 3.25, where that is asked for.
  var volumes: [String]?
  /// Since 3.38.
  var replicationStatus: String?
  /// Since 3.58.
  var project: String?

  init(_ row: GroupRow, in view: GroupView, isDetailed: Bool) {
    let group = row.group
    id = group.id.description
    name = group.name.isEmpty ? nil : group.name
    guard isDetailed else { return }
    status = row.status
    zone = OrNull(wrappedValue: group.availabilityZone)
    createdAt = group.createdAt.cinder
    description = OrNull(wrappedValue: group.summary.isEmpty ? nil : group.summary)
    type = group.type.description
    volumeTypes = group.volumeTypes.map(\.description)
    if view.tier >= Microversion(3, 14) {
      switch group.source {
      case .groupSnapshot(let id):
        groupSnapshotID = OrNull(wrappedValue: "\(id)")
        sourceGroupID = OrNull(wrappedValue: nil)
      case .group(let id):
        groupSnapshotID = OrNull(wrappedValue: nil)
        sourceGroupID = OrNull(wrappedValue: "\(id)")
      case nil:
        groupSnapshotID = OrNull(wrappedValue: nil)
        sourceGroupID = OrNull(wrappedValue: nil)
      }
    }
    if view.showsVolumes { volumes = row.volumes.map(\.description) }
    if view.tier >= Microversion(3, 38) { replicationStatus = "disabled" }
    if view.tier >= Microversion(3, 58) { project = group.project }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, status, description, volumes
    case zone = "availability_zone"
    case createdAt = "created_at"
    case type = "group_type"
    case volumeTypes = "volume_types"
    case groupSnapshotID = "group_snapshot_id"
    case sourceGroupID = "source_group_id"
    case replicationStatus = "replication_status"
    case project = "project_id"
  }
}
