import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

/// An attachment as Cinder shows it since 3.27; whole, or as lists without detail show it.
private struct AttachmentResource: Encodable {
  let id: String
  let volumeID: String
  let instance: String
  let status: String
  var attachMode: String?
  var attachedAt: OrNull<String>?
  var detachedAt: OrNull<String>?
  /// How a host gets in is between storage and compute node: never here.
  var connectionInfo: [String: String]?

  init(_ attachment: Attachment, detailed: Bool) {
    id = attachment.id.description
    volumeID = attachment.volume.description
    instance = attachment.instance.description
    status =
      switch attachment.state {
      case .attaching: "attaching"
      case .attached: "attached"
      case .detaching, .withdrawing: "detaching"
      case .detached: "detached"
      }
    guard detailed else { return }
    attachMode = attachment.mode.rawValue
    attachedAt = OrNull(wrappedValue: attachment.attachedAt?.cinder)
    detachedAt = OrNull(wrappedValue: nil)
    connectionInfo = [:]
  }

  enum CodingKeys: String, CodingKey {
    case id, instance, status
    case volumeID = "volume_id"
    case attachMode = "attach_mode"
    case attachedAt = "attached_at"
    case detachedAt = "detached_at"
    case connectionInfo = "connection_info"
  }
}

private struct AttachmentList: Encodable {
  let attachments: [AttachmentResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case attachments
    case links = "attachments_links"
  }
}

extension BlockStorageRoutes {
  func addAttachments(to routes: Routes) {
    let since = Microversion(3, 27)
    routes.on(.get, "attachments", needs: .readVolumes, since: since) { try Self.list($0, detailed: false) }
    routes.on(.get, "attachments/detail", needs: .readVolumes, since: since) { try Self.list($0, detailed: true) }
    routes.on(.get, "attachments/:id", needs: .readVolumes, since: since) { call in
      let id: AttachmentID = try call.id("id", ofA: "Attachment")
      guard let attachment = call.tables.attachments[id], attachment.holdsVolume,
        call.caller.scope == nil || call.caller.scope == attachment.project
      else { throw StorageError(.notFound, "Attachment \(id) could not be found.") }
      return try Response.json(["attachment": AttachmentResource(attachment, detailed: true)])
    }
  }

  private static func list(_ call: Call, detailed: Bool) throws -> Response {
    let isForAll = try call.query.flag("all_tenants") && call.caller.role == .admin
    let (volume, instance) = (call.query["volume_id"], call.query["instance_id"])
    let found = call.tables.attachments.values.filter { attachment in
      attachment.holdsVolume && (isForAll || attachment.project == call.caller.project)
        && (volume.map { attachment.volume.description == $0 } ?? true)
        && (instance.map { attachment.instance.description == $0 } ?? true)
    }.sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }
    let (slice, hasMore) = try Page(call.query).slice(of: found) { $0.id.description }
    var list = AttachmentList(attachments: slice.map { AttachmentResource($0, detailed: detailed) })
    if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
    return try Response.json(list)
  }
}
