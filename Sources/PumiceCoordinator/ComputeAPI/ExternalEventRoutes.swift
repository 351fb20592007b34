import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

extension ComputeRoutes {
  /// `POST …/os-server-external-events`, by which other services tell Nova what happened to what servers use.
  ///
  /// An event is taken note of in the log. There is nothing else to do: agents themselves see to it that an instance learns the
  /// new size of a volume, and networks are none of ours.
  func addExternalEvents(to routes: Routes) {
    routes.on(.post, "os-server-external-events", needs: .reportEvents) { call in
      var events = try ExternalEvent.list(try await call.body(), as: call.version)
      let instances = call.tables.instances()
      for index in events.indices {
        let event = events[index]
        let isKnown = instances[event.server] != nil
        events[index].code = !isKnown ? 404 : event.lacksTag ? 400 : 200
        call.context.logger.info(
          "Event reported",
          metadata: [
            "event": "\(event.name.rawValue)", "instance.id": "\(event.server)", "tag": "\(event.tag ?? "")",
            "code": "\(events[index].code)",
          ])
      }
      guard events.contains(where: { $0.code == 200 }) else {
        throw StorageError(.notFound, "None of the events is for an instance that is known, and complete.")
      }
      return try Response.json(
        ["events": events],
        status: events.allSatisfy { $0.code == 200 }
          ? .ok : HTTPResponse.Status(code: 207, reasonPhrase: "Multi-Status"))
    }
  }
}

private struct ExternalEvent: Encodable {
  enum Name: String, CaseIterable {
    case networkChanged = "network-changed"
    case interfacePlugged = "network-vif-plugged"
    case interfaceUnplugged = "network-vif-unplugged"
    case interfaceDeleted = "network-vif-deleted"
    case volumeExtended = "volume-extended"
    case powerUpdate = "power-update"
    case acceleratorBound = "accelerator-request-bound"

    var since: Microversion {
      switch self {
      case .networkChanged, .interfacePlugged, .interfaceUnplugged, .interfaceDeleted: Microversion(2, 1)
      case .volumeExtended: Microversion(2, 51)
      case .powerUpdate: Microversion(2, 76)
      case .acceleratorBound: Microversion(2, 82)
      }
    }
  }

  let name: Name
  let server: InstanceID
  let tag: String?
  /// As it was sent.
  private let status: String?
  /// What became of it, as a status of HTTP.
  var code = 200

  /// An event about a volume says which one.
  var lacksTag: Bool { name == .volumeExtended && tag == nil }

  static func list(_ body: RequestFields, as version: Microversion) throws(StorageError) -> [ExternalEvent] {
    try body.refuseUnknown(except: ["events"])
    guard case .array(let elements)? = body.value("events"), !elements.isEmpty else {
      throw .invalid("events", "must be a list of at least one event.")
    }
    var events: [ExternalEvent] = []
    for element in elements {
      guard case .object(let values) = element else { throw .invalid("events", "must be a list of objects.") }
      events.append(try ExternalEvent(RequestFields(values), as: version))
    }
    return events
  }

  private init(_ fields: RequestFields, as version: Microversion) throws(StorageError) {
    try fields.refuseUnknown(except: ["name", "server_uuid", "status", "tag"])
    let text = try fields.requiredText("name")
    guard let name = Name(rawValue: text), name.since <= version else {
      let known = Name.allCases.filter { $0.since <= version }.map(\.rawValue).joined(separator: ", ")
      throw .invalid("name", "must be one of \(known), not '\(text.prefix(40))'.")
    }
    self.name = name
    guard let server: InstanceID = try fields.id("server_uuid") else { throw .invalid("server_uuid", "is required.") }
    self.server = server
    tag = try fields.text("tag")
    status = try fields.text("status")
    guard ["failed", "completed", "in-progress", nil].contains(status) else {
      throw .invalid("status", "must be failed, completed or in-progress, not '\((status ?? "").prefix(40))'.")
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name.rawValue, forKey: .name)
    try container.encode("\(server)", forKey: .server)
    try container.encodeIfPresent(tag, forKey: .tag)
    try container.encode(code == 200 ? "completed" : "failed", forKey: .status)
    try container.encode(code, forKey: .code)
  }

  private enum CodingKeys: String, CodingKey {
    case name, tag, status, code
    case server = "server_uuid"
  }
}
