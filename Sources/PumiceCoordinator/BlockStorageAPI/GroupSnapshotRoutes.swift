import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  func addGroupSnapshots(to routes: Routes) {
    let since = Microversion(3, 14)
    routes.on(.get, "group_snapshots", needs: .readSnapshots, since: since) {
      try RowListing<GroupSnapshotRow>($0).response(detailed: false)
    }
    routes.on(.get, "group_snapshots/detail", needs: .readSnapshots, since: since) {
      try RowListing<GroupSnapshotRow>($0).response(detailed: true)
    }
    routes.on(.get, "group_snapshots/:id", needs: .readSnapshots, since: since) { call in
      let tables = call.tables
      let snapshot = try tables.groupSnapshot(try call.id("id", ofA: "Group snapshot"), of: call.caller.scope)
      return try call.show(tables.row(of: snapshot))
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
        [
          "group_snapshot": GroupSnapshotResource(
            call.tables.row(of: snapshot), in: GroupSnapshotView(call), isDetailed: false)
        ], status: .accepted)
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
    let status = tables.row(of: snapshot).status
    guard status == wanted, status != "creating" else {
      throw StorageError(
        .conflict,
        "\(snapshot.label) is \(status), so it can't be set to \(wanted.prefix(40)): that follows from what is on the nodes."
      )
    }
    return nil
  }
}
