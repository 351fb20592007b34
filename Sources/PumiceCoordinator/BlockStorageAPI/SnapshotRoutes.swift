import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  func addSnapshots(to routes: Routes) {
    routes.on(.post, "snapshots", needs: .writeSnapshots) { call in
      let order = try SnapshotOrder(try await call.body(), of: call)
      let (scope, surroundings) = (call.caller.scope, call.api.surroundings)
      let snapshot = try await call.api.store.write { tables in
        try tables.createSnapshot(order, of: scope, at: surroundings.now(), in: surroundings)
      }
      call.context.logger.info(
        "Snapshot asked for", metadata: ["snapshot.id": "\(snapshot.id)", "volume.id": "\(snapshot.volume)"])
      return try call.show(call.tables.row(of: snapshot), status: .accepted)
    }
    routes.on(.get, "snapshots", needs: .readSnapshots) {
      try RowListing<SnapshotRow>($0).response(detailed: false)
    }
    routes.on(.get, "snapshots/detail", needs: .readSnapshots) {
      try RowListing<SnapshotRow>($0).response(detailed: true)
    }
    routes.on(.get, "snapshots/:id", needs: .readSnapshots) { call in
      let tables = call.tables
      let snapshot = try tables.snapshot(try call.id("id", ofA: "Snapshot"), of: call.caller.scope)
      return try call.show(tables.row(of: snapshot))
    }
    routes.on(.put, "snapshots/:id", needs: .writeSnapshots) { call in
      let id: SnapshotID = try call.id("id", ofA: "Snapshot")
      let body = try await call.body()
      try body.refuseUnknown(except: ["snapshot"])
      let fields = try body.root("snapshot")
      try fields.refuseUnknown(except: ["name", "description", "display_name", "display_description"])
      guard !fields.values.isEmpty else {
        throw StorageError.invalid("snapshot", "must have a name or a description.")
      }
      let (name, summary) = (try fields.name(), try fields.summary())
      let (scope, now) = (call.caller.scope, call.now)
      let snapshot = try await call.api.store.write {
        try $0.editSnapshot(id, of: scope, name: name, summary: summary, at: now)
      }
      return try call.show(call.tables.row(of: snapshot))
    }
    routes.on(.delete, "snapshots/:id", needs: .writeSnapshots) { call in
      let id: SnapshotID = try call.id("id", ofA: "Snapshot")
      let (scope, now) = (call.caller.scope, call.now)
      try await call.api.store.write { try $0.deleteSnapshot(id, of: scope, at: now) }
      call.context.logger.info("Snapshot is to be deleted", metadata: ["snapshot.id": "\(id)"])
      return .accepted
    }
    routes.onActions("snapshots/:id/action", SnapshotAction.self, onA: "Snapshot")
  }
}

extension SnapshotOrder {
  private static let known: Set<String> = [
    "name", "description", "display_name", "display_description", "volume_id", "force", "metadata",
  ]

  /// Reads the body of `POST …/snapshots`. Throws `invalid` with the name of the field that is wrong.
  fileprivate init(_ body: RequestFields, of call: Call) throws(StorageError) {
    try body.refuseUnknown(except: ["snapshot"])
    let fields = try body.root("snapshot")
    try fields.refuseUnknown(except: Self.known)
    guard let volume: VolumeID = try fields.id("volume_id") else { throw .invalid("volume_id", "is required.") }
    self.init(of: volume)
    name = try fields.name() ?? ""
    summary = try fields.summary() ?? ""
    metadata = try fields.texts("metadata") ?? [:]
    user = call.caller.user
    // From 3.66 on an attached volume needs no force. Clients say all the same that they don't mean it.
    mayBeAttached = try fields.flag("force") ?? (call.version >= Microversion(3, 66))
  }
}

private enum SnapshotAction: String, ResourceAction {
  case resetStatus = "os-reset_status"
  case forceDelete = "os-force_delete"
  case unmanage = "os-unmanage"

  static let later: Set<String> = ["os-update_snapshot_status"]

  var permission: Permission {
    switch self {
    case .resetStatus, .forceDelete: .resetSnapshotStatus
    case .unmanage: .manageSnapshots
    }
  }
  var since: Microversion? { nil }

  func perform(on id: SnapshotID, _ fields: RequestFields, _ call: Call) async throws -> Response? {
    let (scope, now) = (call.caller.scope, call.now)
    switch self {
    case .resetStatus:
      try fields.refuseUnknown(except: ["status"])
      let text = try fields.requiredText("status")
      guard let state = Snapshot.State(rawValue: text) else {
        throw StorageError.invalid("status", "must be a status of snapshots, not '\(text.prefix(40))'.")
      }
      try call.tables.resetSnapshot(id, to: state)
    case .forceDelete:
      // No force is needed to delete a snapshot from any state that has a way out.
      try await call.api.store.write { try $0.deleteSnapshot(id, of: scope, at: now) }
      call.context.logger.info("Snapshot is to be deleted", metadata: ["snapshot.id": "\(id)"])
    case .unmanage:
      try await call.api.store.write { try $0.unmanageSnapshot(id, of: scope, at: now) }
      call.context.logger.notice("Snapshot is left to itself", metadata: ["snapshot.id": "\(id)"])
    }
    return nil
  }
}
