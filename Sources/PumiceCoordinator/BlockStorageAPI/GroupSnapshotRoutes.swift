import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A group snapshot as Cinder shows it since 3.14: in brief, or in detail.
private struct GroupSnapshotResource: Encodable {
  let id: String
  @OrNull var name: String?
  var typeID: String?
  var groupID: String?
  var status: String?
  var createdAt: String?
  var description: OrNull<String>?
  /// Since 3.58.
  var project: String?

  init(_ snapshot: GroupSnapshot, of call: Call, isDetailed: Bool, isListed: Bool = false) {
    id = snapshot.id.description
    name = snapshot.name.isEmpty ? nil : snapshot.name
    if isDetailed || !isListed { typeID = snapshot.type.description }
    guard isDetailed else { return }
    groupID = snapshot.group.description
    status = snapshot.status(with: call.tables.snapshots(in: snapshot.id))
    createdAt = snapshot.createdAt.cinder
    description = OrNull(wrappedValue: snapshot.summary.isEmpty ? nil : snapshot.summary)
    if call.version >= Microversion(3, 58) { project = snapshot.project }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, status, description
    case typeID = "group_type_id"
    case groupID = "group_id"
    case createdAt = "created_at"
    case project = "project_id"
  }
}

extension GroupSnapshot {
  /// In Cinder's words: what it consists of makes it.
  fileprivate func status(with members: [Snapshot]) -> String {
    let states = Set(members.map(\.state))
    if state == .failed || states.contains(.error) { return "error" }
    return state == .taking || states.contains(.creating) ? "creating" : "available"
  }
}

private struct GroupSnapshotList: Encodable {
  let snapshots: [GroupSnapshotResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case snapshots = "group_snapshots"
    case links = "group_snapshots_links"
  }
}

extension BlockStorageRoutes {
  func addGroupSnapshots(to routes: Routes) {
    let since = Microversion(3, 14)
    routes.on(.get, "group_snapshots", needs: .readSnapshots, since: since) { try Self.list($0, isDetailed: false) }
    routes.on(.get, "group_snapshots/detail", needs: .readSnapshots, since: since) {
      try Self.list($0, isDetailed: true)
    }
    routes.on(.get, "group_snapshots/:id", needs: .readSnapshots, since: since) { call in
      let snapshot = try call.tables.groupSnapshot(try call.id("id", ofA: "Group snapshot"), of: call.caller.scope)
      return try Response.json(["group_snapshot": GroupSnapshotResource(snapshot, of: call, isDetailed: true)])
    }
    routes.on(.post, "group_snapshots", needs: .writeSnapshots, since: since) { call in
      let body = try await call.body()
      try body.refuseUnknown(except: ["group_snapshot"])
      let fields = try body.root("group_snapshot")
      try fields.refuseUnknown(except: ["group_id", "name", "description"])
      guard let group: GroupID = try fields.id("group_id") else {
        throw StorageError.invalid("group_id", "is required.")
      }
      let name = try fields.text("name") ?? ""
      let summary = try fields.text("description", mayHaveLineBreaks: true) ?? ""
      let (caller, now, policy, surroundings) = (call.caller, call.now, call.api.policy, call.api.surroundings)
      let snapshot = try await call.api.store.write {
        try $0.createGroupSnapshot(
          of: group, of: caller.scope, user: caller.user, name: name, summary: summary, policy: policy, at: now,
          in: surroundings)
      }
      call.context.logger.info(
        "Group snapshot asked for", metadata: ["group_snapshot.id": "\(snapshot.id)", "group.id": "\(group)"])
      return try Response.json(
        ["group_snapshot": GroupSnapshotResource(snapshot, of: call, isDetailed: false)], status: .accepted)
    }
    routes.on(.delete, "group_snapshots/:id", needs: .writeSnapshots, since: since) { call in
      let id: GroupSnapshotID = try call.id("id", ofA: "Group snapshot")
      let (scope, now) = (call.caller.scope, call.now)
      try await call.api.store.write { try $0.deleteGroupSnapshot(id, of: scope, at: now) }
      call.context.logger.info("Group snapshot is to be deleted", metadata: ["group_snapshot.id": "\(id)"])
      return .accepted
    }
    routes.onActions("group_snapshots/:id/action", GroupSnapshotAction.self, onA: "Group snapshot")
  }

  private static func list(_ call: Call, isDetailed: Bool) throws -> Response {
    let isForAll = try call.query.flag("all_tenants") && call.caller.role == .admin
    let found = call.tables.groupSnapshots.values.filter { isForAll || $0.project == call.caller.project }
      .sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }
    let (slice, hasMore) = try Page(call.query).slice(of: found) { $0.id.description }
    var list = GroupSnapshotList(
      snapshots: slice.map { GroupSnapshotResource($0, of: call, isDetailed: isDetailed, isListed: true) })
    if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
    return try Response.json(list)
  }
}

private enum GroupSnapshotAction: String, ResourceAction {
  typealias Kind = GroupSnapshot

  case resetStatus = "reset_status"

  static let later: Set<String> = []

  var permission: Permission { .resetSnapshotStatus }
  var since: Microversion? { Microversion(3, 19) }

  /// An operator's word, which changes nothing: every status follows from what is on the nodes.
  func perform(on id: GroupSnapshotID, _ fields: RequestFields, _ call: Call) async throws -> Response? {
    try fields.refuseUnknown(except: ["status"])
    let wanted = try fields.requiredText("status")
    let tables = call.tables
    let snapshot = try tables.groupSnapshot(id, of: call.caller.scope)
    let status = snapshot.status(with: tables.snapshots(in: id))
    guard status == wanted, status != "creating" else {
      throw StorageError(
        .conflict,
        "\(snapshot.label) is \(status), so it can't be set to \(wanted.prefix(40)): that follows from what is on the nodes."
      )
    }
    return nil
  }
}
