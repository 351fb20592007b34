import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

extension ComputeRoutes {
  func addVolumeAttachments(to routes: Routes) {
    let path: RouterPath = "servers/:server/os-volume_attachments"
    let one: RouterPath = "servers/:server/os-volume_attachments/:volume"
    routes.on(.get, path, needs: .readServers) { call in
      // From 2.75 on, what is not known is refused.
      if call.version >= Microversion(2, 75) { try call.query.refuseUnknown(except: ["limit", "offset"]) }
      let server = try call.instanceInPath()
      let attachments = try Page(call.query).slice(of: Self.attachments(to: server, call)) { $0.volume.description }
        .slice
      return try Response.json([
        "volumeAttachments": attachments.map { VolumeAttachmentResource($0, as: call.version) }
      ])
    }
    routes.on(.get, one, needs: .readServers) { call in
      let attachment = try Self.attachmentInPath(call)
      return try Response.json(["volumeAttachment": VolumeAttachmentResource(attachment, as: call.version)])
    }
    routes.on(.post, path, needs: .attachVolumes) { call in
      let server = try call.instanceInPath()
      let order = try VolumeAttachmentOrder(try await call.body(), as: call.version)
      let (scope, surroundings, instance) = (call.caller.scope, call.api.surroundings, server.instance.id)
      if call.version < Microversion(2, 60), try call.tables.volume(order.volume, of: scope).isMultiattach {
        throw StorageError.invalid("volumeId", "is of a volume for several instances, which needs microversion 2.60.")
      }
      let attachment = try await call.api.store.write {
        try $0.attach(
          order.volume, to: instance, device: order.device, tag: order.tag,
          isVolumeForInstanceOnly: order.deletesOnTermination, of: scope, at: surroundings.now(), in: surroundings)
      }
      call.context.logger.info(
        "Attachment asked for",
        metadata: [
          "attachment.id": "\(attachment.id)", "volume.id": "\(order.volume)", "instance.id": "\(instance)",
          "node": "\(attachment.node ?? "")",
        ])
      return try Response.json([
        "volumeAttachment": VolumeAttachmentResource(attachment, as: call.version, isNew: true)
      ])
    }
    routes.on(.put, one, needs: .attachVolumes) { call in
      let body = try await call.body()
      let attachment = try Self.attachmentInPath(call)
      let edit = try VolumeAttachmentEdit(body, of: attachment, as: call.version)
      if let choice = edit.deletesOnTermination {
        try await call.api.store.write { try $0.edit(attachment.id, isVolumeForInstanceOnly: choice) }
      }
      return .accepted
    }
    routes.on(.delete, one, needs: .attachVolumes) { call in
      let server: InstanceID = try call.id("server", ofA: "Instance")
      let volume: VolumeID = try call.id("volume", ofA: "Volume")
      let (scope, now) = (call.caller.scope, call.now)
      try await call.api.store.write { try $0.detach(volume, from: server, of: scope, at: now) }
      call.context.logger.info(
        "Detach asked for", metadata: ["volume.id": "\(volume)", "instance.id": "\(server)"])
      return .accepted
    }
  }

  private static func attachmentInPath(_ call: Call) throws -> Attachment {
    let server = try call.instanceInPath()
    let volume: VolumeID = try call.id("volume", ofA: "Volume")
    guard let attachment = attachments(to: server, call).first(where: { $0.volume == volume }) else {
      throw StorageError(.notFound, "Volume \(volume) is not attached to instance \(server.instance.id).")
    }
    return attachment
  }

  private static func attachments(to server: InstanceOnNode, _ call: Call) -> [Attachment] {
    call.tables.attachments(to: server.instance.id)
      .filter { $0.isShownOnServer && (call.caller.scope == nil || call.caller.scope == $0.project) }
      .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }
}

extension Attachment {
  /// Whether the instance has the disk, or is about to get it or to lose it.
  var isShownOnServer: Bool {
    switch state {
    case .attaching, .attached, .detaching: true
    case .reserved, .withdrawing, .detached: false
    }
  }
}

/// A volume on a server as Nova shows it.
private struct VolumeAttachmentResource: Encodable {
  /// The volume's; not in answers to questions since 2.89.
  var id: String?
  let serverId: String
  let volumeId: String
  @OrNull var device: String?
  /// Since 2.70.
  var tag: OrNull<String>?
  /// Since 2.79.
  var deletesOnTermination: Bool?
  /// Since 2.89, in answers to questions: Nova's record and Cinder's, which here are the same.
  var attachmentID: String?
  var mappingID: String?

  init(_ attachment: Attachment, as version: Microversion, isNew: Bool = false) {
    serverId = attachment.instance?.description ?? ""
    volumeId = attachment.volume.description
    if version >= Microversion(2, 89), !isNew {
      attachmentID = attachment.id.description
      mappingID = attachment.id.description
    } else {
      id = attachment.volume.description
    }
    if version >= Microversion(2, 70) { tag = OrNull(wrappedValue: attachment.tag) }
    if version >= Microversion(2, 79) { deletesOnTermination = attachment.isVolumeForInstanceOnly }
    device = attachment.device.map { "/dev/\($0)" }
  }

  enum CodingKeys: String, CodingKey {
    case id, serverId, volumeId, device, tag
    case deletesOnTermination = "delete_on_termination"
    case attachmentID = "attachment_id"
    case mappingID = "bdm_uuid"
  }
}
