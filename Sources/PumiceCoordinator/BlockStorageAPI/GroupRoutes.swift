import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  func addGroups(to routes: Routes) {
    let since = Microversion(3, 13)
    routes.on(.get, "groups", needs: .readVolumes, since: since) {
      try RowListing<GroupRow>($0).response(detailed: false)
    }
    routes.on(.get, "groups/detail", needs: .readVolumes, since: since) {
      try RowListing<GroupRow>($0).response(detailed: true)
    }
    routes.on(.get, "groups/:id", needs: .readVolumes, since: since) { call in
      let tables = call.tables
      let group = try tables.group(try call.id("id", ofA: "Group"), of: call.caller.scope)
      _ = try call.query.flag("list_volume")
      return try call.show(tables.row(of: group))
    }
    routes.on(.post, "groups", needs: .writeVolumes, since: since) { call in
      let order = try GroupOrder(try await call.body(), of: call)
      let (now, surroundings) = (call.now, call.api.surroundings)
      let group = try await call.api.store.write { try $0.createGroup(order, at: now, in: surroundings) }
      call.context.logger.info("Group created", metadata: ["group.id": "\(group.id)"])
      return try call.refer(to: group)
    }
    routes.on(.put, "groups/:id", needs: .writeVolumes, since: since) { call in
      let id: GroupID = try call.id("id", ofA: "Group")
      let change = try GroupChange(try await call.body())
      let scope = call.caller.scope
      try await call.api.store.write { try $0.editGroup(id, of: scope, change) }
      call.context.logger.info("Group changed", metadata: ["group.id": "\(id)"])
      return .accepted
    }
    routes.on(.post, "groups/action", needs: .writeVolumes, since: Microversion(3, 14)) { call in
      let order = try CopiedGroupOrder(try await call.body(), of: call)
      let (scope, now) = (call.caller.scope, call.now)
      let (policy, surroundings) = (call.api.policy, call.api.surroundings)
      let group = try await call.api.store.write {
        try $0.createGroup(order, of: scope, policy: policy, at: now, in: surroundings)
      }
      call.context.logger.info(
        "Group asked for", metadata: ["group.id": "\(group.id)", "source": "\(order.source)"])
      return try call.refer(to: group)
    }
    routes.onActions("groups/:id/action", GroupAction.self, onA: "Group")
  }
}

extension Call {
  /// An answer that names a group which is made.
  fileprivate func refer(to group: Group) throws -> Response {
    try Response.json(
      ["group": GroupResource(tables.row(of: group), in: GroupView(self), isDetailed: false)], status: .accepted)
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
      let tables = call.tables
      let row = tables.row(of: try tables.group(id, of: scope))
      guard status == row.status, status != "creating" else {
        throw StorageError(
          .conflict,
          "\(row.group.label) is \(row.status), so it can't be set to \(status.prefix(40)): that follows from its volumes."
        )
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

extension CopiedGroupOrder {
  /// Reads the body of `POST …/groups/action`.
  fileprivate init(_ body: RequestFields, of call: Call) throws(StorageError) {
    let action = "create-from-src"
    try body.refuseUnknown(except: [action])
    let fields = try body.root(action)
    try fields.refuseUnknown(except: ["group_snapshot_id", "source_group_id", "name", "description"])
    let snapshot: GroupSnapshotID? = try fields.id("group_snapshot_id")
    let group: GroupID? = try fields.id("source_group_id")
    switch (snapshot, group) {
    case (let snapshot?, nil): self.init(from: .groupSnapshot(snapshot))
    case (nil, let group?): self.init(from: .group(group))
    case (nil, nil), (.some, .some):
      throw .invalid(action, "must have either group_snapshot_id or source_group_id.")
    }
    user = call.caller.user
    name = try fields.text("name") ?? ""
    summary = try fields.text("description", mayHaveLineBreaks: true) ?? ""
    requestID = call.context.requestID
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
