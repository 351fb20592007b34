import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  /// `POST …/volumes/{id}/action`: the body's one member is the action.
  func addVolumeActions(to routes: Routes) {
    routes.on(.post, "volumes/:id/action", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      let body = try await call.body()
      guard body.values.count == 1, let name = body.values.keys.first else {
        throw StorageError.invalid("body", "must name exactly one action.")
      }
      guard let action = VolumeAction(rawValue: name) else {
        throw APIError.invalid(
          VolumeAction.later.contains(name)
            ? "\(name) is not supported yet." : "There is no such action: \(JSONValue.string(name).excerpt).")
      }
      guard call.caller.role >= action.permission.leastRole else {
        throw StorageError(.forbidden, "\(name) needs the role \(action.permission.leastRole.rawValue).")
      }
      try await action.perform(on: id, RequestFields((try body.object(name))?.values ?? [:]), call)
      return .accepted
    }
  }
}

private enum VolumeAction: String {
  case extend = "os-extend"
  case resetStatus = "os-reset_status"
  case forceDelete = "os-force_delete"

  /// Cinder's other actions.
  static let later: Set<String> = [
    "os-attach", "os-detach", "os-reserve", "os-unreserve", "os-begin_detaching", "os-roll_detaching",
    "os-initialize_connection", "os-terminate_connection", "os-force_detach", "os-volume_upload_image",
    "os-update_readonly_flag", "os-set_bootable", "os-retype", "os-migrate_volume", "os-migrate_volume_completion",
    "os-set_image_metadata", "os-unset_image_metadata", "os-show_image_metadata", "os-unmanage", "os-reimage", "revert",
    "os-extend_volume_completion",
  ]

  var permission: Permission {
    switch self {
    case .extend: .writeVolumes
    case .resetStatus, .forceDelete: .resetVolumeStatus
    }
  }

  func perform(on id: VolumeID, _ fields: RequestFields, _ call: Call) async throws {
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
    }
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
