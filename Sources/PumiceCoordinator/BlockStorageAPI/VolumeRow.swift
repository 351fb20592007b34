import HashTreeCollections
import PumiceModel

/// A volume with what its representation depends on.
struct VolumeRow: ListedRow {
  let volume: Volume
  /// The attachments that hold it.
  let holders: [Attachment]
  let typeName: String

  static let singular = "volume"
  static let collection = "volumes"

  var id: VolumeID { volume.id }
  var name: String { volume.name }
  var metadata: [String: String] { volume.metadata }
  var zone: String? { volume.availabilityZone }
  var project: ProjectID { volume.project }

  /// Its status in Cinder's words, which the volume's state and its attachments make together.
  var status: String {
    switch volume.state {
    case .creating: return "creating"
    case .extending: return "extending"
    case .errorExtending: return "error_extending"
    case .reverting: return "reverting"
    case .awaitingTransfer: return "awaiting-transfer"
    case .error: return "error"
    case .deleting: return "deleting"
    case .deleted: return "deleted"
    case .available: break
    }
    if holders.contains(where: { $0.state == .attaching }) { return "attaching" }
    if holders.contains(where: { $0.state == .detaching || $0.state == .withdrawing }) { return "detaching" }
    if holders.contains(where: { $0.state == .attached }) { return "in-use" }
    return holders.contains { $0.state == .reserved } ? "reserved" : "available"
  }

  static func ids(of project: ProjectID, in tables: Tables) -> TreeSet<VolumeID> { tables.volumeIDs(of: project) }

  static func ids(in tables: Tables) -> [VolumeID] {
    tables.volumes.values.filter { $0.state != .deleted }.map(\.id)
  }

  static func createdAt(_ id: VolumeID, in tables: Tables) -> Timestamp? { tables.volumes[id]?.createdAt }
  static func row(_ id: VolumeID, in tables: Tables) -> VolumeRow? { tables.volumes[id].map { tables.row(of: $0) } }
  static func shelf(of api: CoordinatorAPI) -> RowShelf<VolumeRow> { api.volumes }

  func resource(in view: VolumeView) throws -> [UInt8] { try JSONBytes.encode(VolumeResource(self, in: view)) }
  func reference(in view: VolumeView) throws -> [UInt8] { try JSONBytes.encode(VolumeReference(self, in: view)) }

  enum SortKey: String, RowSortKey {
    case id, name, size, status, bootable, host
    case createdAt = "created_at"
    case updatedAt = "updated_at"
    case zone = "availability_zone"
    case type = "volume_type_id"
  }

  static func compare(_ left: VolumeRow, _ right: VolumeRow, by key: SortKey) -> Int {
    let (one, other) = (left.volume, right.volume)
    return switch key {
    case .id: one.id.order(to: other.id)
    case .name: one.name.order(to: other.name)
    case .size: one.size.order(to: other.size)
    case .status: left.status.order(to: right.status)
    case .bootable: (one.bootable == true ? 1 : 0).order(to: other.bootable == true ? 1 : 0)
    case .host: (one.pool?.description ?? "").order(to: other.pool?.description ?? "")
    case .createdAt: one.createdAt.order(to: other.createdAt)
    case .updatedAt: (one.updatedAt?.milliseconds ?? 0).order(to: other.updatedAt?.milliseconds ?? 0)
    case .zone: (one.availabilityZone ?? "").order(to: other.availabilityZone ?? "")
    case .type: one.type.order(to: other.type)
    }
  }
}

extension Tables {
  func row(of volume: Volume) -> VolumeRow {
    VolumeRow(volume: volume, holders: holders(of: volume.id), typeName: types[volume.type]?.name ?? "")
  }
}

/// How a volume is shown: to whom, in which version, with links to where.
struct VolumeView: ListedView {
  /// Such as `http://host:8776`.
  let baseURL: String
  /// Encoded for a URL.
  let project: String
  /// The greatest microversion, not over the requested one, that changed the representation.
  let tier: Microversion
  let showsHost: Bool

  private static let tiers = [0, 13, 21, 48, 61, 63, 65].map { Microversion(3, $0) }

  init(_ call: Call) {
    baseURL = call.baseURL
    project = Query.encoded(call.caller.project)
    let version = call.version
    tier = Self.tiers.last { $0 <= version } ?? Microversion(3, 0)
    showsHost = call.caller.role == .admin
  }

  func links(to id: VolumeID) -> [Link] {
    [
      Link(rel: "self", href: "\(baseURL)/v3/\(project)/volumes/\(id)"),
      Link(rel: "bookmark", href: "\(baseURL)/\(project)/volumes/\(id)"),
    ]
  }
}
