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
      let volumes = Self.volumesByInstance(call)
      return try Response.json(
        ServerList(
          servers: servers.map { ServerResource($0, volumes: volumes[$0.instance.id] ?? [], call) }, links: links))
    }
    routes.on(.get, "servers/:server", needs: .readServers) { call in
      let server = try call.instanceInPath()
      let volumes = Self.volumesByInstance(call)[server.instance.id] ?? []
      return try Response.json(["server": ServerResource(server, volumes: volumes, call)])
    }
  }

  private static func list(_ call: Call) throws -> ([InstanceOnNode], [Link]?) {
    var servers = Array(call.tables.instances().values)
    // Nova takes the name for a regular expression; clients use it as a part of the name.
    if let name = call.query["name"]?.literal, !name.isEmpty { servers.removeAll { !$0.instance.name.contains(name) } }
    if let status = call.query["status"] { servers.removeAll { $0.instance.status.rawValue != status.uppercased() } }
    if let host = call.query["host"] { servers.removeAll { $0.node.name != host } }
    if let id = call.query["uuid"] { servers.removeAll { $0.instance.id.description != id } }
    servers.sort { ($0.instance.name, $0.instance.id) < ($1.instance.name, $1.instance.id) }
    let (slice, hasMore) = try Page(call.query).slice(of: servers) { $0.instance.id.description }
    return (Array(slice), hasMore ? slice.last.map { [call.nextPage(after: $0.instance.id.description)] } : nil)
  }

  private static func volumesByInstance(_ call: Call) -> [InstanceID: [VolumeID]] {
    var volumes: [InstanceID: [VolumeID]] = [:]
    for attachment in call.tables.attachments.values.sorted(by: { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) })
    where attachment.isShownOnServer && (call.caller.scope == nil || call.caller.scope == attachment.project) {
      volumes[attachment.instance, default: []].append(attachment.volume)
    }
    return volumes
  }
}

extension Attachment {
  /// Whether the instance has the disk, or is about to get it or to lose it.
  var isShownOnServer: Bool {
    switch state {
    case .attaching, .attached, .detaching: true
    case .withdrawing, .detached: false
    }
  }
}

extension String {
  /// A regular expression that stands for one text, as clients make it: without anchors and escapes.
  fileprivate var literal: String {
    var text = self[...]
    if text.hasPrefix("^") { text = text.dropFirst() }
    if text.hasSuffix("$") { text = text.dropLast() }
    return String(text.filter { $0 != "\\" })
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

private func links(to id: InstanceID, _ call: Call) -> [Link] {
  [
    Link(rel: "self", href: "\(call.baseURL)/compute/v2.1/servers/\(id)"),
    Link(rel: "bookmark", href: "\(call.baseURL)/compute/servers/\(id)"),
  ]
}

private struct ServerReference: Encodable {
  let id: String
  let name: String
  let links: [Link]

  init(_ server: InstanceOnNode, _ call: Call) {
    id = server.instance.id.description
    name = server.instance.name
    links = PumiceCoordinator.links(to: server.instance.id, call)
  }
}

/// A libvirt domain as Nova shows a server.
private struct ServerResource: Encodable {
  struct Flavor: Encodable {
    let id: String
    let links: [Link] = []
  }

  struct Attached: Encodable { let id: String }

  let id: String
  let name: String
  let status: String
  let tenantID: ProjectID
  let userID: String
  let metadata: [String: String] = [:]
  let hostID: String
  let image = ""
  let flavor: Flavor
  let created: String
  let updated: String
  let addresses: [String: [String]] = [:]
  let accessIPv4 = ""
  let accessIPv6 = ""
  let links: [Link]
  let progress = 0
  let configDrive = ""
  @OrNull var keyName: String?
  let securityGroups: [String] = []
  let diskConfig = "AUTO"
  let zone: String
  let host: NodeName
  let hypervisorHost: NodeName
  let instanceName: String
  let powerState: Int
  @OrNull var taskState: String?
  let vmState: String
  let volumes: [Attached]

  init(_ server: InstanceOnNode, volumes: [VolumeID], _ call: Call) {
    let instance = server.instance
    id = instance.id.description
    name = instance.name
    status = instance.status.rawValue
    tenantID = call.caller.project
    userID = call.caller.user
    hostID = server.node.name
    flavor = Flavor(id: "\(instance.vcpus)x\(instance.memory.bytes >> 20)MiB")
    created = server.node.registeredAt.zulu
    updated = server.reportedAt.zulu
    links = PumiceCoordinator.links(to: instance.id, call)
    zone = server.node.availabilityZone
    host = server.node.name
    hypervisorHost = server.node.name
    instanceName = instance.name
    (powerState, vmState) = Self.states(instance.status)
    self.volumes = volumes.map { Attached(id: $0.description) }
  }

  /// Nova's power state (a number of its own) and vm state.
  private static func states(_ status: Instance.Status) -> (Int, String) {
    switch status {
    case .active: (1, "active")
    case .paused: (3, "paused")
    case .shutOff: (4, "stopped")
    case .suspended: (7, "suspended")
    case .error: (6, "error")
    case .unknown: (0, "active")
    }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, status, metadata, image, flavor, created, updated, addresses, accessIPv4, accessIPv6, links, progress
    case tenantID = "tenant_id"
    case userID = "user_id"
    case hostID = "hostId"
    case configDrive = "config_drive"
    case keyName = "key_name"
    case securityGroups = "security_groups"
    case diskConfig = "OS-DCF:diskConfig"
    case zone = "OS-EXT-AZ:availability_zone"
    case host = "OS-EXT-SRV-ATTR:host"
    case hypervisorHost = "OS-EXT-SRV-ATTR:hypervisor_hostname"
    case instanceName = "OS-EXT-SRV-ATTR:instance_name"
    case powerState = "OS-EXT-STS:power_state"
    case taskState = "OS-EXT-STS:task_state"
    case vmState = "OS-EXT-STS:vm_state"
    case volumes = "os-extended-volumes:volumes_attached"
  }
}
