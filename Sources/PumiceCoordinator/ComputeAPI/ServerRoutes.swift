import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

extension ComputeRoutes {
  func addServers(to routes: Routes) {
    routes.on(.get, "servers", needs: .readServers) { call in
      let (servers, links) = try Self.list(call)
      return try Response.json(
        ServerList(servers: servers.map { ServerReference($0, call) }, links: links))
    }
    routes.on(.get, "servers/detail", needs: .readServers) { call in
      let (servers, links) = try Self.list(call)
      let attachments = Self.attachmentsByInstance(call)
      return try Response.json(
        ServerList(
          servers: servers.map { ServerResource($0, attachments[$0.instance.id] ?? [], call) }, links: links))
    }
    routes.on(.get, "servers/:server", needs: .readServers) { call in
      let server = try call.instanceInPath()
      let attachments = Self.attachmentsByInstance(call)[server.instance.id] ?? []
      return try Response.json(["server": ServerResource(server, attachments, call, isAlone: true)])
    }
  }

  private static func list(_ call: Call) throws -> ([InstanceOnNode], [Link]?) {
    let filter = try ServerFilter(call)
    let servers = try ListSort(servers: call.query).applied(
      to:
        call.tables.instances().values.filter { filter.passes($0) }
        .sorted { ($0.instance.name, $0.instance.id) < ($1.instance.name, $1.instance.id) })
    let (slice, hasMore) = try Page(call.query).slice(of: servers, unknownMarker: .invalid) {
      $0.instance.id.description
    }
    return (Array(slice), hasMore ? slice.last.map { [call.nextPage(after: $0.instance.id.description)] } : nil)
  }

  private static func attachmentsByInstance(_ call: Call) -> [InstanceID: [Attachment]] {
    var shown: [InstanceID: [Attachment]] = [:]
    for attachment in call.tables.attachments.values.sorted(by: { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) })
    where attachment.isShownOnServer && (call.caller.scope == nil || call.caller.scope == attachment.project) {
      guard let instance = attachment.place?.instance else { continue }
      shown[instance, default: []].append(attachment)
    }
    return shown
  }
}

private struct ServerList<Server: Encodable>: Encodable {
  let servers: [Server]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case servers
    case links = "servers_links"
  }
}
