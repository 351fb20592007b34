import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

/// An attachment as Cinder shows it since 3.27; whole, or as lists without detail show it.
private struct AttachmentResource: Encodable {
  let id: String
  let volumeID: String
  @OrNull var instance: String?
  let status: String
  var attachMode: String?
  var attachedAt: OrNull<String>?
  var detachedAt: OrNull<String>?
  /// How a host gets in, with its secret, is said only to a client that wants to connect, as the answer.
  var connectionInfo: OrEmpty<ConnectionInfo>?

  init(_ attachment: Attachment, detailed: Bool = true, _ info: ConnectionInfo? = nil) {
    id = attachment.id.description
    volumeID = attachment.volume.description
    instance = attachment.instance?.description
    status = attachment.status
    guard detailed else { return }
    attachMode = attachment.mode.rawValue
    attachedAt = OrNull(wrappedValue: attachment.attachedAt?.cinder)
    detachedAt = OrNull(wrappedValue: nil)
    connectionInfo = OrEmpty(value: info)
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

extension Attachment {
  fileprivate func passes(_ query: Query, isForAll: Bool) -> Bool {
    query.items.allSatisfy { name, value in
      switch name {
      case "volume_id": volume == VolumeID(value)
      case "instance_id": instance.map { $0 == InstanceID(value) } ?? false
      case "id": id == AttachmentID(value)
      case "status", "attach_status": status == value
      case "project_id", "tenant_id": !isForAll || project == value
      default: true
      }
    }
  }

  /// In Cinder's words.
  fileprivate var status: String {
    switch state {
    case .reserved: "reserved"
    case .attaching: "attaching"
    case .attached: "attached"
    case .detaching, .withdrawing: "detaching"
    case .detached: "detached"
    }
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
      return try Response.json([
        "attachment": AttachmentResource(try call.tables.attachment(id, of: call.caller.scope))
      ])
    }
    routes.on(.post, "attachments", needs: .writeVolumes, since: since) { try await Self.create($0) }
    routes.on(.put, "attachments/:id", needs: .writeVolumes, since: since) { try await Self.update($0) }
    routes.on(.delete, "attachments/:id", needs: .writeVolumes, since: since) { try await Self.delete($0) }
    routes.onActions("attachments/:id/action", AttachmentAction.self, onA: "Attachment")
  }

  private static func create(_ call: Call) async throws -> Response {
    let fields = try await call.body().root("attachment")
    try fields.refuseUnknown(except: ["volume_uuid", "instance_uuid", "connector", "mode"])
    guard let volume: VolumeID = try fields.id("volume_uuid") else {
      throw StorageError.invalid("volume_uuid", "is required.")
    }
    let instance: InstanceID? = try fields.id("instance_uuid")
    let connector = try fields.object("connector").flatMap { $0.values.isEmpty ? nil : try $0.connector() }
    let mode = try fields.mode("mode") ?? connector?.mode
    let (scope, surroundings) = (call.caller.scope, call.api.surroundings)
    let attachment = try await call.api.store.write { tables in
      let now = surroundings.now()
      let attachment = try tables.reserve(
        volume, for: connector?.client ?? StorageClient(), instance: instance, mode: mode, of: scope, at: now,
        in: surroundings)
      guard let connector else { return attachment }
      return try tables.change(attachment.id, of: scope) { attachment throws(StorageError) in
        try attachment.admit(connector.client, at: now)
      }
    }
    guard connector != nil else {
      return try Response.json(["attachment": AttachmentResource(attachment)])
    }
    do {
      return try await connected(attachment, call)
    } catch {
      // The client has not heard of it.
      try? await call.release(attachment.id)
      throw error
    }
  }

  private static func update(_ call: Call) async throws -> Response {
    let id: AttachmentID = try call.id("id", ofA: "Attachment")
    let fields = try await call.body().root("attachment")
    try fields.refuseUnknown(except: ["connector", "mode"])
    guard let connector = try fields.object("connector")?.connector() else {
      throw StorageError.invalid("connector", "is required.")
    }
    let (scope, now) = (call.caller.scope, call.now)
    let attachment = try await call.api.store.write {
      try $0.change(id, of: scope) { attachment throws(StorageError) in try attachment.admit(connector.client, at: now)
      }
    }
    return try await connected(attachment, call)
  }

  private static func connected(_ attachment: Attachment, _ call: Call) async throws -> Response {
    let info = try await call.export(attachment)
    var attachment = attachment
    // Clients of before 3.44 don't say when they have it.
    if call.version < Microversion(3, 44) {
      let (id, scope, now) = (attachment.id, call.caller.scope, call.now)
      attachment = try await call.api.store.write {
        try $0.change(id, of: scope) { attachment throws(StorageError) in try attachment.complete(at: now) }
      }
    }
    return try Response.json(["attachment": AttachmentResource(attachment, info)])
  }

  private static func delete(_ call: Call) async throws -> Response {
    let id: AttachmentID = try call.id("id", ofA: "Attachment")
    let volume = try call.tables.attachment(id, of: call.caller.scope).volume
    try await call.release(id)
    let left = call.tables.holders(of: volume).filter { $0.id != id }
    return try Response.json(["attachments": left.map { AttachmentResource($0) }])
  }

  private static func list(_ call: Call, detailed: Bool) throws -> Response {
    let isForAll = try call.query.flag("all_tenants") && call.caller.role == .admin
    try call.refuseUnknownFilters(
      of: "attachments",
      except: ["volume_id", "instance_id", "status", "attach_status", "id", "project_id", "tenant_id"])
    let sort = try ListSort<Attachment>(
      call.query,
      [
        "id": { $0.id.order(to: $1.id) }, "volume_id": { $0.volume.order(to: $1.volume) },
        "status": { $0.status.order(to: $1.status) }, "created_at": { $0.createdAt.order(to: $1.createdAt) },
      ])
    let all = call.tables.attachments.values.filter {
      $0.holdsVolume && (isForAll || $0.project == call.caller.project)
    }
    let found = sort.applied(
      to: all.filter { $0.passes(call.query, isForAll: isForAll) }
        .sorted { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) })
    let (slice, hasMore) = try Page(call.query).slice(of: found) { $0.id.description }
    var list = AttachmentList(attachments: slice.map { AttachmentResource($0, detailed: detailed) })
    if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
    return try Response.json(list)
  }
}

/// An object, or one without members.
private struct OrEmpty<Value: Encodable>: Encodable {
  let value: Value?

  func encode(to encoder: any Encoder) throws {
    if let value { try value.encode(to: encoder) } else { try [String: String]().encode(to: encoder) }
  }
}

private enum AttachmentAction: String, ResourceAction {
  case complete = "os-complete"

  static let later: Set<String> = []
  var permission: Permission { .writeVolumes }
  var since: Microversion? { Microversion(3, 44) }
  // Clients repeat the attachment's id, or say nothing.
  var takesAnything: Bool { true }

  /// The client has the volume.
  func perform(on id: AttachmentID, _ fields: RequestFields, _ call: Call) async throws -> Response? {
    let (scope, now) = (call.caller.scope, call.now)
    _ = try await call.api.store.write {
      try $0.change(id, of: scope) { attachment throws(StorageError) in try attachment.complete(at: now) }
    }
    return Response(status: .noContent)
  }
}
