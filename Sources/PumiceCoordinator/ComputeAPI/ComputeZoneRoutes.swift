import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

extension ComputeRoutes {
  /// The availability zones of nodes, and for admins what is in them.
  func addZones(to routes: Routes) {
    routes.on(.get, "os-availability-zone", needs: .readZones) { call in
      try Response.json(["availabilityZoneInfo": Self.zones(call, isDetailed: false)])
    }
    routes.on(.get, "os-availability-zone/detail", needs: .readServices) { call in
      try Response.json(["availabilityZoneInfo": Self.zones(call, isDetailed: true)])
    }
  }

  private static func zones(_ call: Call, isDetailed: Bool) -> [ComputeZone] {
    let (tables, policy, now) = (call.tables, call.api.policy, call.now)
    return tables.availabilityZones().sorted().map { zone in
      let nodes = tables.nodes.values.filter { $0.availabilityZone == zone }
      let isUp = { tables.isUp($0, policy: policy, at: now) }
      let hosts = nodes.map { node in
        let service = ComputeZone.Service(
          isAvailable: isUp(node.name), isActive: node.isEnabled,
          updatedAt: tables.observations[node.name]?.receivedAt.cinder)
        return (node.name, ["nova-compute": service])
      }
      return ComputeZone(
        name: zone, state: .init(isAvailable: nodes.contains { $0.isEnabled && isUp($0.name) }),
        hosts: isDetailed ? Dictionary(uniqueKeysWithValues: hosts) : nil)
    }
  }
}

private struct ComputeZone: Encodable {
  struct State: Encodable {
    let isAvailable: Bool

    enum CodingKeys: String, CodingKey { case isAvailable = "available" }
  }

  struct Service: Encodable {
    let isAvailable: Bool
    let isActive: Bool
    @OrNull var updatedAt: String?

    enum CodingKeys: String, CodingKey {
      case isAvailable = "available"
      case isActive = "active"
      case updatedAt = "updated_at"
    }
  }

  let name: String
  let state: State
  @OrNull var hosts: [NodeName: [String: Service]]?

  enum CodingKeys: String, CodingKey {
    case hosts
    case name = "zoneName"
    case state = "zoneState"
  }
}
