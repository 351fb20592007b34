import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  /// `POST …/volumes/{id}/action`: the body's one member is the action.
  func addVolumeActions(to routes: Routes) {
    routes.onActions("volumes/:id/action", VolumeAction.self, onA: "Volume")
  }
}

enum VolumeAction: String, ResourceAction {
  case extend = "os-extend"
  case resetStatus = "os-reset_status"
  case forceDelete = "os-force_delete"
  case revert
  case setBootable = "os-set_bootable"
  case setImageMetadata = "os-set_image_metadata"
  case unsetImageMetadata = "os-unset_image_metadata"
  case showImageMetadata = "os-show_image_metadata"
  case setReadOnly = "os-update_readonly_flag"
  case retype = "os-retype"
  case unmanage = "os-unmanage"
  case reserve = "os-reserve"
  case unreserve = "os-unreserve"
  case attach = "os-attach"
  case detach = "os-detach"
  case forceDetach = "os-force_detach"
  case beginDetaching = "os-begin_detaching"
  case rollDetaching = "os-roll_detaching"
  case initializeConnection = "os-initialize_connection"
  case terminateConnection = "os-terminate_connection"

  /// Cinder's other actions.
  static let later: Set<String> = [
    "os-volume_upload_image", "os-migrate_volume", "os-migrate_volume_completion", "os-reimage",
    "os-extend_volume_completion",
  ]

  var permission: Permission {
    switch self {
    case .extend, .revert, .setBootable, .setImageMetadata, .unsetImageMetadata, .setReadOnly, .retype, .reserve,
      .unreserve,
      .attach, .detach, .beginDetaching, .rollDetaching, .initializeConnection, .terminateConnection:
      .writeVolumes
    case .showImageMetadata: .readVolumes
    case .resetStatus, .forceDelete, .forceDetach: .resetVolumeStatus
    case .unmanage: .manageVolumes
    }
  }

  var since: Microversion? { self == .revert ? Microversion(3, 40) : nil }

  func perform(on id: VolumeID, _ fields: RequestFields, _ call: Call) async throws -> Response? {
    let (scope, now) = (call.caller.scope, call.now)
    switch self {
    case .extend:
      try fields.refuseUnknown(except: ["new_size"])
      let size = ByteCount.gibibytes(try fields.requiredInteger("new_size", in: VolumeOrder.sizes))
      // 3.42 brought the extend of volumes that are attached.
      if call.version < Microversion(3, 42), let holder = call.tables.holders(of: id).first,
        let volume = try? call.tables.volume(id, of: scope)
      {
        throw StorageError(
          .conflict,
          "\(volume.label) is \(holder.state.rawValue); to extend it so, ask with microversion 3.42 or later.")
      }
      try await call.api.store.write { try $0.extendVolume(id, of: scope, to: size, at: now) }
      call.context.logger.info("Volume is to be extended", metadata: ["volume.id": "\(id)", "size": "\(size)"])
    case .resetStatus:
      try fields.refuseUnknown(except: ["status", "attach_status", "migration_status"])
      try fields.refuseUnsupported(["attach_status", "migration_status"])
      let text = try fields.requiredText("status")
      guard let state = Self.state(text) else {
        throw StorageError.invalid("status", "must be a status of volumes, not '\(text.prefix(40))'.")
      }
      try await call.api.store.write { try $0.resetVolume(id, to: state, at: now) }
      call.context.logger.notice("Volume was reset", metadata: ["volume.id": "\(id)", "status": "\(text)"])
    case .forceDelete:
      // No force is needed to delete a volume from any state that has a way out; none frees it from an instance.
      try await call.api.store.write { try $0.deleteVolume(id, of: scope, at: now) }
      call.context.logger.info("Volume is to be deleted", metadata: ["volume.id": "\(id)"])
    case .revert:
      try fields.refuseUnknown(except: ["snapshot_id"])
      guard let snapshot: SnapshotID = try fields.id("snapshot_id") else {
        throw StorageError.invalid("snapshot_id", "is required.")
      }
      do {
        try await call.api.store.write { try $0.revertVolume(id, of: scope, to: snapshot, at: now) }
      } catch let error as StorageError where error.code == .conflict {
        // Cinder answers so only here.
        throw APIError(status: .conflict, key: "conflictingRequest", message: error.message, code: error.code)
      }
      call.context.logger.info(
        "Volume is to be reverted", metadata: ["volume.id": "\(id)", "snapshot.id": "\(snapshot)"])
    case .setBootable:
      try fields.refuseUnknown(except: ["bootable"])
      guard let isBootable = try fields.flag("bootable") else { throw StorageError.invalid("bootable", "is required.") }
      try await call.api.store.write { try $0.setBootable(id, of: scope, isBootable, at: now) }
      return Response(status: .ok)
    case .setImageMetadata:
      try fields.refuseUnknown(except: ["metadata"])
      guard let entries = try fields.texts("metadata") else { throw StorageError.invalid("metadata", "is required.") }
      return try await change(.merge(entries), of: id, call)
    case .unsetImageMetadata:
      try fields.refuseUnknown(except: ["key"])
      let key = try fields.requiredText("key")
      _ = try await change(.remove(key), of: id, call)
      return Response(status: .ok)
    case .showImageMetadata:
      return try Response.json(["metadata": try call.tables.volume(id, of: scope).imageMetadata ?? [:]])
    case .setReadOnly:
      try fields.refuseUnknown(except: ["readonly"])
      guard let isReadOnly = try fields.flag("readonly") else { throw StorageError.invalid("readonly", "is required.") }
      try await call.api.store.write { try $0.setReadOnly(id, of: scope, isReadOnly, at: now) }
    case .retype:
      try fields.refuseUnknown(except: ["new_type", "migration_policy"])
      let type = try fields.requiredText("new_type")
      guard ["never", "on-demand"].contains(try fields.text("migration_policy") ?? "never") else {
        throw StorageError.invalid("migration_policy", "must be never or on-demand.")
      }
      try await call.api.store.write { try $0.retype(id, of: scope, to: type, at: now) }
      call.context.logger.info("Volume has another type", metadata: ["volume.id": "\(id)", "type": "\(type)"])
    case .unmanage:
      try await call.api.store.write { try $0.unmanage(id, of: scope, at: now) }
      call.context.logger.notice("Volume is left to itself", metadata: ["volume.id": "\(id)"])
    case .reserve, .unreserve, .attach, .detach, .forceDetach, .beginDetaching, .rollDetaching, .initializeConnection,
      .terminateConnection:
      return try await performForClient(on: id, fields, call)
    }
    return nil
  }

  /// Answers with all that is noted of the image then.
  private func change(_ change: MetadataChange, of id: VolumeID, _ call: Call) async throws -> Response {
    let (scope, now) = (call.caller.scope, call.now)
    let metadata = try await call.api.store.write {
      try $0.changeImageMetadata(of: id, of: scope, change, at: now)
    }
    return try Response.json(["metadata": metadata])
  }

  private static func state(_ text: String) -> Volume.State? {
    switch text {
    case "available", "in-use": .available
    case "error": .error
    case "error_extending": .errorExtending
    case "creating": .creating
    case "extending": .extending
    case "deleting": .deleting
    default: nil
    }
  }
}
