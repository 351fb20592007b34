import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A group as Cinder shows it since 3.13: in brief, or in detail.
private struct GroupResource: Encodable {
  let id: String
  @OrNull var name: String?
  var status: String?
  var zone: OrNull<String>?
  var createdAt: String?
  var description: OrNull<String>?
  var type: String?
  var volumeTypes: [String]?
  /// Since 3.14: nothing is made from these here.
  var groupSnapshotID: OrNull<String>?
  var sourceGroupID: OrNull<String>?
  /// Since 3.25, where that is asked for.
  var volumes: [String]?
  /// Since 3.38.
  var replicationStatus: String?
  /// Since 3.58.
  var project: String?

  init(_ group: Group, of call: Call, isDetailed: Bool, volumes: [Volume]? = nil) {
    id = group.id.description
    name = group.name.isEmpty ? nil : group.name
    guard isDetailed else { return }
    // It is a row and nothing else: there is no other status.
    status = "available"
    zone = OrNull(wrappedValue: group.availabilityZone)
    createdAt = group.createdAt.cinder
    description = OrNull(wrappedValue: group.summary.isEmpty ? nil : group.summary)
    type = group.type.description
    volumeTypes = group.volumeTypes.map(\.description)
    if call.version >= Microversion(3, 14) {
      groupSnapshotID = OrNull(wrappedValue: nil)
      sourceGroupID = OrNull(wrappedValue: nil)
    }
    if call.version >= Microversion(3, 25) { self.volumes = volumes?.map(\.id.description) }
    if call.version >= Microversion(3, 38) { replicationStatus = "disabled" }
    if call.version >= Microversion(3, 58) { project = group.project }
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

private struct GroupList: Encodable {
  let groups: [GroupResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case groups
    case links = "group_links"
  }
}

extension BlockStorageRoutes {
  func addGroups(to routes: Routes) {
    let since = Microversion(3, 13)
    routes.on(.get, "groups", needs: .readVolumes, since: since) { try Self.list($0, isDetailed: false) }
    routes.on(.get, "groups/detail", needs: .readVolumes, since: since) { try Self.list($0, isDetailed: true) }
    routes.on(.get, "groups/:id", needs: .readVolumes, since: since) { call in
      let tables = call.tables
      let group = try tables.group(try call.id("id", ofA: "Group"), of: call.caller.scope)
      let members = try call.query.flag("list_volume") ? tables.volumes(in: group) : nil
      return try Response.json(["group": GroupResource(group, of: call, isDetailed: true, volumes: members)])
    }
    routes.on(.post, "groups", needs: .writeVolumes, since: since) { call in
      let order = try GroupOrder(try await call.body(), of: call)
      let (now, surroundings) = (call.now, call.api.surroundings)
      let group = try await call.api.store.write { try $0.createGroup(order, at: now, in: surroundings) }
      call.context.logger.info("Group created", metadata: ["group.id": "\(group.id)"])
      return try Response.json(["group": GroupResource(group, of: call, isDetailed: false)], status: .accepted)
    }
    routes.on(.put, "groups/:id", needs: .writeVolumes, since: since) { call in
      let id: GroupID = try call.id("id", ofA: "Group")
      let change = try GroupChange(try await call.body())
      let scope = call.caller.scope
      try await call.api.store.write { try $0.editGroup(id, of: scope, change) }
      call.context.logger.info("Group changed", metadata: ["group.id": "\(id)"])
      return .accepted
    }
    routes.on(.post, "groups/action", needs: .writeVolumes, since: Microversion(3, 14)) { _ in
      throw StorageError(
        .unsupported,
        "No group is made from another or from a group snapshot here: make a group, and volumes in it from volumes or snapshots."
      )
    }
    routes.onActions("groups/:id/action", GroupAction.self, onA: "Group")
  }

  private static func list(_ call: Call, isDetailed: Bool) throws -> Response {
    let isForAll = try call.query.flag("all_tenants") && call.caller.role == .admin
    let tables = call.tables
    let found = tables.groups.values.filter { isForAll || $0.project == call.caller.project }
      .sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }
    let (slice, hasMore) = try Page(call.query).slice(of: found) { $0.id.description }
    let showsVolumes = try call.query.flag("list_volume")
    var list = GroupList(
      groups: slice.map {
        GroupResource($0, of: call, isDetailed: isDetailed, volumes: showsVolumes ? tables.volumes(in: $0) : nil)
      })
    if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
    return try Response.json(list)
  }
}

private enum GroupAction: String, ResourceAction {
  typealias Kind = Group

  case delete
  case resetStatus = "reset_status"

  static let later: Set<String> = [
    "enable_replication", "disable_replication", "failover_replication", "list_replication_targets",
  ]

  var permission: Permission {
    switch self {
    case .delete: .writeVolumes
    case .resetStatus: .resetVolumeStatus
    }
  }

  var since: Microversion? { self == .delete ? Microversion(3, 13) : Microversion(3, 20) }

  func perform(on id: GroupID, _ fields: RequestFields, _ call: Call) async throws -> Response? {
    let (scope, now) = (call.caller.scope, call.now)
    switch self {
    case .delete:
      try fields.refuseUnknown(except: ["delete-volumes"])
      let withVolumes = try fields.flag("delete-volumes") ?? false
      try await call.api.store.write { try $0.deleteGroup(id, of: scope, withVolumes: withVolumes, at: now) }
      call.context.logger.info("Group deleted", metadata: ["group.id": "\(id)", "volumes": "\(withVolumes)"])
    case .resetStatus:
      try fields.refuseUnknown(except: ["status"])
      let status = try fields.requiredText("status")
      let group = try call.tables.group(id, of: scope)
      guard status == "available" else {
        throw StorageError(.conflict, "\(group.label) can't be set to \(status.prefix(40)): it is always available.")
      }
    }
    return nil
  }
}

extension GroupOrder {
  fileprivate init(_ body: RequestFields, of call: Call) throws(StorageError) {
    try body.refuseUnknown(except: ["group"])
    let fields = try body.root("group")
    try fields.refuseUnknown(except: ["name", "description", "group_type", "volume_types", "availability_zone"])
    let types = try fields.requiredNames("volume_types")
    guard !types.isEmpty else { throw .invalid("volume_types", "must have at least one type.") }
    self.init(project: call.caller.project, type: try fields.requiredText("group_type"), volumeTypes: types)
    user = call.caller.user
    name = try fields.text("name") ?? ""
    summary = try fields.text("description", mayHaveLineBreaks: true) ?? ""
    availabilityZone = try fields.text("availability_zone").flatMap { $0.isEmpty ? nil : $0 }
    isForAdmin = call.caller.role == .admin
  }
}

extension GroupChange {
  fileprivate init(_ body: RequestFields) throws(StorageError) {
    try body.refuseUnknown(except: ["group"])
    let fields = try body.root("group")
    try fields.refuseUnknown(except: ["name", "description", "add_volumes", "remove_volumes"])
    self.init()
    name = try fields.text("name")
    summary = try fields.text("description", mayHaveLineBreaks: true)
    added = try fields.volumes("add_volumes")
    removed = try fields.volumes("remove_volumes")
    guard name != nil || summary != nil || !added.isEmpty || !removed.isEmpty else {
      throw .invalid("group", "must have a name, description, add_volumes or remove_volumes.")
    }
    if let twice = added.first(where: { removed.contains($0) }) {
      throw .invalid("add_volumes", "has \(twice), which is to be removed, too.")
    }
  }
}

extension RequestFields {
  /// Identities with commas between them.
  fileprivate func volumes(_ name: String) throws(StorageError) -> [VolumeID] {
    guard let text = try text(name, atMost: 16_384) else { return [] }
    var volumes: [VolumeID] = []
    for part in text.split(separator: ",") {
      guard let id = VolumeID(String(part).trimmed) else {
        throw .invalid(name, "must be UUIDs with commas between them, not '\(part.prefix(40))'.")
      }
      if !volumes.contains(id) { volumes.append(id) }
    }
    return volumes
  }
}
