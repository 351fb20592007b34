import PumiceModel

/// What a list of servers is narrowed to, as its query says.
struct ServerFilter {
  /// What Nova narrows lists by and no libvirt domain has: where it is asked for, there is no such server.
  private static let absent: Set<String> = [
    "access_ip_v4", "access_ip_v6", "config_drive", "description", "image", "ip", "ip6", "kernel_id", "key_name",
    "launch_index", "ramdisk_id", "reservation_id", "root_device_name", "tags", "tags-any", "user_id",
  ]
  /// What says how the list is made, or narrows it to what all of our servers are.
  private static let passedOver: Set<String> = [
    "limit", "marker", "sort_key", "sort_dir", "all_tenants", "project_id", "tenant_id", "not-tags", "not-tags-any",
    "soft_deleted", "changes-since", "changes-before", "created_at", "launched_at", "terminated_at",
    "auto_disk_config", "progress", "task_state",
  ]

  private var tests: [@Sendable (InstanceOnNode) -> Bool] = []

  /// - Throws: `invalid` for a wrong value and, from 2.75 on as in Nova, for a filter that is not known.
  init(_ call: Call) throws(StorageError) {
    var statuses: [@Sendable (InstanceOnNode) -> Bool] = []
    for (name, value) in call.query.items {
      if Self.passedOver.contains(name) { continue }
      if let test = try Self.test(name, value, call) {
        if name == "status" { statuses.append(test) } else { tests.append(test) }
      } else if Self.absent.contains(name) {
        tests.append { _ in value.isEmpty }
      } else if call.version >= Microversion(2, 75) {
        throw .invalid(String(name.prefix(64)), "is not a filter of servers.")
      }
    }
    // Of several, each will do.
    let anyStatus = statuses
    if !anyStatus.isEmpty { tests.append { server in anyStatus.contains { $0(server) } } }
  }

  func passes(_ server: InstanceOnNode) -> Bool { tests.allSatisfy { $0(server) } }

  private static func test(
    _ name: String, _ value: String, _ call: Call
  ) throws(StorageError) -> (@Sendable (InstanceOnNode) -> Bool)? {
    switch name {
    case "name", "display_name", "instance_name":
      // Nova takes the name for a regular expression; clients use it as a part of the name.
      let part = value.literal
      return { part.isEmpty || $0.instance.name.contains(part) }
    case "status":
      let status = Instance.Status(rawValue: value.uppercased())
      // Before 2.38 an unknown status found nothing.
      guard status != nil || call.version < Microversion(2, 38) || isStatusOfNova(value) else {
        throw .invalid("status", "must be a status of servers, not '\(value.prefix(40))'.")
      }
      return { $0.instance.status == status }
    case "vm_state": return { ServerResource.states($0.instance.status).vm == value.lowercased() }
    case "power_state": return { "\(ServerResource.states($0.instance.status).power)" == value }
    case "host", "node", "hypervisor_hostname": return { $0.node.name == value }
    case "availability_zone": return { $0.node.availabilityZone == value }
    case "uuid": return { $0.instance.id.description == value }
    case "flavor": return { Flavor($0.instance).id == value }
    case "deleted", "locked":
      guard let isWanted = Bool(openStack: value) else {
        throw .invalid(name, "must be true or false, not '\(value.prefix(40))'.")
      }
      return { _ in !isWanted }
    default: return nil
    }
  }

  private static func isStatusOfNova(_ text: String) -> Bool {
    [
      "BUILD", "DELETED", "HARD_REBOOT", "MIGRATING", "PASSWORD", "REBOOT", "REBUILD", "RESCUE", "RESIZE",
      "REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SOFT_DELETED", "VERIFY_RESIZE",
    ].contains(text.uppercased())
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
