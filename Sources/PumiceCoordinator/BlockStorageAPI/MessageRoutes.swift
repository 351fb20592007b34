import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

/// A message to the user as Cinder shows it since 3.3.
private struct MessageResource: Encodable {
  let id: String
  let eventID: String
  let userMessage: String
  let messageLevel = "ERROR"
  let resourceType: String
  let resourceUUID: String
  @OrNull var requestID: String?
  let createdAt: String
  let guaranteedUntil: String
  let links: [Link]

  init(_ message: UserMessage, _ call: Call) {
    id = message.id.description
    resourceType = message.resourceType
    eventID = message.eventID
    userMessage = message.text
    resourceUUID = message.resourceID
    createdAt = message.createdAt.cinder
    guaranteedUntil = (message.createdAt + UserMessage.lifetime).cinder
    let project = Query.encoded(call.caller.project)
    links = [
      Link(rel: "self", href: "\(call.baseURL)/v3/\(project)/messages/\(message.id)"),
      Link(rel: "bookmark", href: "\(call.baseURL)/\(project)/messages/\(message.id)"),
    ]
    requestID = message.requestID
  }

  enum CodingKeys: String, CodingKey {
    case id, links
    case eventID = "event_id"
    case userMessage = "user_message"
    case messageLevel = "message_level"
    case resourceType = "resource_type"
    case resourceUUID = "resource_uuid"
    case requestID = "request_id"
    case createdAt = "created_at"
    case guaranteedUntil = "guaranteed_until"
  }
}

extension UserMessage {
  /// The kind of thing that it is about, as Cinder calls it.
  fileprivate var resourceType: String { snapshot == nil ? "VOLUME" : "VOLUME_SNAPSHOT" }
  fileprivate var eventID: String { "VOLUME_\(resourceType)_\(action.rawValue)_001" }
  fileprivate var resourceID: String { snapshot?.description ?? "\(volume)" }
}

private struct MessageList: Encodable {
  let messages: [MessageResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case messages
    case links = "messages_links"
  }
}

extension BlockStorageRoutes {
  func addMessages(to routes: Routes) {
    let since = Microversion(3, 3)
    routes.on(.get, "messages", needs: .readMessages, since: since) { call in
      try call.refuseUnknownFilters(
        of: "messages", except: ["resource_uuid", "resource_type", "message_level", "request_id", "event_id"])
      let sort = try ListSort<UserMessage>(
        call.query,
        [
          "id": { $0.id.order(to: $1.id) }, "event_id": { $0.eventID.order(to: $1.eventID) },
          "resource_type": { $0.resourceType.order(to: $1.resourceType) },
          "resource_uuid": { $0.resourceID.order(to: $1.resourceID) },
          "request_id": { ($0.requestID ?? "").order(to: $1.requestID ?? "") },
          "created_at": { $0.createdAt.order(to: $1.createdAt) },
        ])
      var found = call.tables.messages.values.filter { $0.project == call.caller.project }
      if call.version >= Microversion(3, 5) {
        if let id = call.query["resource_uuid"] { found.removeAll { $0.resourceID != id } }
        if let type = call.query["resource_type"] { found.removeAll { $0.resourceType != type.uppercased() } }
        if let level = call.query["message_level"], level.uppercased() != "ERROR" { found = [] }
        if let request = call.query["request_id"] { found.removeAll { $0.requestID != request } }
        if let event = call.query["event_id"] { found.removeAll { $0.eventID != event } }
      }
      found.sort { ($1.createdAt, $1.id) < ($0.createdAt, $0.id) }
      found = sort.applied(to: found)
      let (slice, hasMore) = try Page(call.query).slice(of: found) { $0.id.description }
      var list = MessageList(messages: slice.map { MessageResource($0, call) })
      if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
      return try Response.json(list)
    }
    routes.on(.get, "messages/:id", needs: .readMessages, since: since) { call in
      let message = try call.tables.message(try call.id("id", ofA: "Message"), of: call.caller.scope)
      return try Response.json(["message": MessageResource(message, call)])
    }
    routes.on(.delete, "messages/:id", needs: .deleteMessages, since: since) { call in
      let id: MessageID = try call.id("id", ofA: "Message")
      let scope = call.caller.scope
      try await call.api.store.write { try $0.deleteMessage(id, of: scope) }
      return .noContent
    }
  }
}
