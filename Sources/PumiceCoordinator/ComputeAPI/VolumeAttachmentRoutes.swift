import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

extension ComputeRoutes {
  func addVolumeAttachments(to routes: Routes) {
    let path: RouterPath = "servers/:server/os-volume_attachments"
    let one: RouterPath = "servers/:server/os-volume_attachments/:volume"
    routes.on(.get, path, needs: .readServers) { call in
      let server = try call.instanceInPath()
      let attachments = try Page(call.query).slice(of: Self.attachments(to: server, call)) { $0.volume.description }
        .slice
      return try Response.json(["volumeAttachments": attachments.map { VolumeAttachmentResource($0) }])
    }
    routes.on(.get, one, needs: .readServers) { call in
      let server = try call.instanceInPath()
      let volume: VolumeID = try call.id("volume", ofA: "Volume")
      guard let attachment = Self.attachments(to: server, call).first(where: { $0.volume == volume }) else {
        throw StorageError(.notFound, "Volume \(volume) is not attached to instance \(server.instance.id).")
      }
      return try Response.json(["volumeAttachment": VolumeAttachmentResource(attachment)])
    }
    routes.on(.post, path, needs: .attachVolumes) { call in
      let server = try call.instanceInPath()
      let body = try await call.body()
      try body.refuseUnknown(except: ["volumeAttachment"])
      let fields = try body.root("volumeAttachment")
      try fields.refuseUnknown(except: ["volumeId", "device", "tag", "delete_on_termination"])
      try fields.refuseUnsupported(["tag", "delete_on_termination"])
      let text = try fields.requiredText("volumeId")
      guard let volume = VolumeID(text) else {
        throw StorageError.invalid("volumeId", "must be a UUID, not '\(text.prefix(64))'.")
      }
      let device = try fields.text("device").flatMap { $0.isEmpty ? nil : $0 }.map(Self.targetName)
      let (scope, surroundings, instance) = (call.caller.scope, call.api.surroundings, server.instance.id)
      let attachment = try await call.api.store.write {
        try $0.attach(
          volume, to: instance, device: device, of: scope, at: surroundings.now(), in: surroundings)
      }
      call.context.logger.info(
        "Attachment asked for",
        metadata: [
          "attachment.id": "\(attachment.id)", "volume.id": "\(volume)", "instance.id": "\(instance)",
          "node": "\(attachment.node)",
        ])
      return try Response.json(["volumeAttachment": VolumeAttachmentResource(attachment)])
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

  private static func attachments(to server: InstanceOnNode, _ call: Call) -> [Attachment] {
    call.tables.attachments(to: server.instance.id)
      .filter { $0.isShownOnServer && (call.caller.scope == nil || call.caller.scope == $0.project) }
      .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  /// `/dev/vdb` and `vdb` both name the target `vdb`.
  @Sendable private static func targetName(_ device: String) throws(StorageError) -> String {
    let name = device.hasPrefix("/dev/") ? String(device.dropFirst(5)) : device
    for prefix in ["xvd", "vd", "sd", "hd"] where name.hasPrefix(prefix) {
      let letters = name.dropFirst(prefix.count)
      if (1...2).contains(letters.count), letters.allSatisfy({ $0.isASCII && $0.isLowercase }) { return name }
    }
    throw .invalid("device", "must be like /dev/vdb, not '\(device.prefix(40))'.")
  }
}

/// A volume on a server as Nova shows it up to 2.69: its id is the volume's.
private struct VolumeAttachmentResource: Encodable {
  let id: String
  let serverId: String
  let volumeId: String
  @OrNull var device: String?

  init(_ attachment: Attachment) {
    id = attachment.volume.description
    serverId = attachment.instance.description
    volumeId = attachment.volume.description
    device = attachment.device.map { "/dev/\($0)" }
  }
}
