import Crypto
import Foundation
import PumiceModel

struct ServerReference: Encodable {
  let id: String
  let name: String
  let links: [Link]

  init(_ server: InstanceOnNode, _ call: Call) {
    id = server.instance.id.description
    name = server.instance.name
    links = call.links(to: "servers", id)
  }
}

extension Call {
  /// The links of something that the Compute API has.
  func links(to collection: String, _ id: String) -> [Link] {
    [
      Link(rel: "self", href: "\(baseURL)/compute/v2.1/\(collection)/\(id)"),
      Link(rel: "bookmark", href: "\(baseURL)/compute/\(collection)/\(id)"),
    ]
  }
}

/// A libvirt domain as Nova shows a server.
struct ServerResource: Encodable {
  private let facts: ServerFacts
  /// For admins.
  private let placement: ServerPlacement?

  init(_ server: InstanceOnNode, _ attachments: [Attachment], _ call: Call, isAlone: Bool = false) {
    facts = ServerFacts(server, attachments, call, isAlone: isAlone)
    placement = call.caller.role == .admin ? ServerPlacement(server, call) : nil
  }

  func encode(to encoder: any Encoder) throws {
    try facts.encode(to: encoder)
    try placement?.encode(to: encoder)
  }

  /// Nova's power state (a number of its own) and vm state.
  static func states(_ status: Instance.Status) -> (power: Int, vm: String) {
    switch status {
    case .active: (1, "active")
    case .paused: (3, "paused")
    case .shutOff: (4, "stopped")
    case .suspended: (7, "suspended")
    case .error: (6, "error")
    case .unknown: (0, "active")
    }
  }
}

/// What everybody may know of a server. What a domain doesn't have is shown as of a server without it.
private struct ServerFacts: Encodable {
  struct Attached: Encodable {
    let id: String
    /// Since 2.3.
    var deletesOnTermination: Bool?

    enum CodingKeys: String, CodingKey {
      case id
      case deletesOnTermination = "delete_on_termination"
    }
  }

  let id: String
  let name: String
  let status: String
  let tenantID: ProjectID
  let userID: String
  let metadata: [String: String] = [:]
  let hostID: String
  let image = ""
  let flavor: EmbeddedFlavor
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
  @OrNull var launchedAt: String?
  @OrNull var terminatedAt: String?
  let powerState: Int
  @OrNull var taskState: String?
  let vmState: String
  let volumes: [Attached]
  /// Since 2.9.
  var isLocked: Bool?
  /// Since 2.19.
  var description: OrNull<String>?
  /// Since 2.26.
  var tags: [String]?
  /// Since 2.63.
  var certificates: OrNull<[String]>?
  /// Since 2.71, where one server is shown.
  var groups: [String]?
  /// Since 2.73.
  var lockedReason: OrNull<String>?

  init(_ server: InstanceOnNode, _ attachments: [Attachment], _ call: Call, isAlone: Bool) {
    let (instance, version) = (server.instance, call.version)
    id = instance.id.description
    name = instance.name
    status = instance.status.rawValue
    tenantID = call.caller.project
    userID = call.caller.user
    // The same for servers of a project on the same host, and nobody can tell which that is.
    hostID = SHA256.hash(data: Data("\(call.caller.project) \(server.node.name)".utf8)).map {
      String($0 >> 4, radix: 16) + String($0 & 15, radix: 16)
    }.joined()
    flavor = EmbeddedFlavor(Flavor(instance), call)
    created = server.node.registeredAt.zulu
    updated = server.reportedAt.zulu
    links = call.links(to: "servers", id)
    zone = server.node.availabilityZone
    (powerState, vmState) = ServerResource.states(instance.status)
    volumes = attachments.map {
      Attached(
        id: "\($0.volume)", deletesOnTermination: version < Microversion(2, 3) ? nil : $0.isVolumeForInstanceOnly)
    }
    if version >= Microversion(2, 9) { isLocked = false }
    if version >= Microversion(2, 19) { description = OrNull(wrappedValue: nil) }
    if version >= Microversion(2, 26) { tags = [] }
    if version >= Microversion(2, 63) { certificates = OrNull(wrappedValue: nil) }
    if version >= Microversion(2, 71), isAlone { groups = [] }
    if version >= Microversion(2, 73) { lockedReason = OrNull(wrappedValue: nil) }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, status, metadata, image, flavor, created, updated, addresses, accessIPv4, accessIPv6, links, progress
    case description, tags
    case tenantID = "tenant_id"
    case userID = "user_id"
    case hostID = "hostId"
    case configDrive = "config_drive"
    case keyName = "key_name"
    case securityGroups = "security_groups"
    case diskConfig = "OS-DCF:diskConfig"
    case zone = "OS-EXT-AZ:availability_zone"
    case launchedAt = "OS-SRV-USG:launched_at"
    case terminatedAt = "OS-SRV-USG:terminated_at"
    case powerState = "OS-EXT-STS:power_state"
    case taskState = "OS-EXT-STS:task_state"
    case vmState = "OS-EXT-STS:vm_state"
    case volumes = "os-extended-volumes:volumes_attached"
    case isLocked = "locked"
    case certificates = "trusted_image_certificates"
    case groups = "server_groups"
    case lockedReason = "locked_reason"
  }
}

/// Where a server is.
private struct ServerPlacement: Encodable {
  let host: NodeName
  let hypervisorHost: NodeName
  let instanceName: String
  /// Since 2.3.
  var hostname: String?
  var launchIndex: Int?
  var reservation: String?
  var kernel: OrNull<String>?
  var ramdisk: OrNull<String>?
  var rootDevice: OrNull<String>?
  var userData: OrNull<String>?
  /// Since 2.16.
  var hostStatus: String?

  init(_ server: InstanceOnNode, _ call: Call) {
    host = server.node.name
    hypervisorHost = server.node.name
    instanceName = server.instance.name
    if call.version >= Microversion(2, 3) {
      hostname = server.instance.name
      launchIndex = 0
      reservation = ""
      // Of a domain nothing of this is known.
      kernel = OrNull(wrappedValue: nil)
      ramdisk = kernel
      rootDevice = kernel
      userData = kernel
    }
    if call.version >= Microversion(2, 16) {
      let isUp = call.tables.isUp(server.node.name, policy: call.api.policy, at: call.now)
      hostStatus = !server.node.isEnabled ? "MAINTENANCE" : isUp ? "UP" : "UNKNOWN"
    }
  }

  private enum CodingKeys: String, CodingKey {
    case host = "OS-EXT-SRV-ATTR:host"
    case hypervisorHost = "OS-EXT-SRV-ATTR:hypervisor_hostname"
    case instanceName = "OS-EXT-SRV-ATTR:instance_name"
    case hostname = "OS-EXT-SRV-ATTR:hostname"
    case launchIndex = "OS-EXT-SRV-ATTR:launch_index"
    case reservation = "OS-EXT-SRV-ATTR:reservation_id"
    case kernel = "OS-EXT-SRV-ATTR:kernel_id"
    case ramdisk = "OS-EXT-SRV-ATTR:ramdisk_id"
    case rootDevice = "OS-EXT-SRV-ATTR:root_device_name"
    case userData = "OS-EXT-SRV-ATTR:user_data"
    case hostStatus = "host_status"
  }
}
