import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A service by its host, as Cinder's older list has it.
private struct HostResource: Encodable {
  let name: String
  let service: String
  let zone: String
  let status: String
  let state: String
  @OrNull var updatedAt: String?

  init(_ service: ServiceResource) {
    name = service.host
    self.service = service.binary
    zone = service.zone
    status = service.state == "up" ? "available" : "unavailable"
    state = service.status
    updatedAt = service.updatedAt
  }

  enum CodingKeys: String, CodingKey {
    case service, zone
    case name = "host_name"
    case status = "service-status"
    case state = "service-state"
    case updatedAt = "last-update"
  }
}

/// What lies on a host of one project, or of all. Numbers are texts there, sizes GiB.
private struct HostUse: Encodable {
  var volumes = 0
  var gigabytes = 0
  var snapshots = 0
  var snapshotGigabytes = 0

  let host: String
  let project: String

  enum CodingKeys: String, CodingKey {
    case host, project
    case volumes = "volume_count"
    case gigabytes = "total_volume_gb"
    case snapshots = "snapshot_count"
    case snapshotGigabytes = "total_snapshot_gb"
  }

  init(of project: String, on host: String) {
    self.host = host
    self.project = project
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(host, forKey: .host)
    try container.encode(project, forKey: .project)
    try container.encode("\(volumes)", forKey: .volumes)
    try container.encode("\(gigabytes)", forKey: .gigabytes)
    try container.encode("\(snapshots)", forKey: .snapshots)
    try container.encode("\(snapshotGigabytes)", forKey: .snapshotGigabytes)
  }
}

extension BlockStorageRoutes {
  /// Cinder's older way to look at services, and to switch them.
  func addHosts(to routes: Routes) {
    routes.on(.get, "os-hosts", needs: .readServices) { call in
      var services = Self.services(call)
      if let zone = call.query["zone"], !zone.isEmpty { services.removeAll { $0.zone != zone } }
      return try Response.json(["hosts": services.map { HostResource($0) }])
    }
    routes.on(.get, "os-hosts/:name", needs: .readServices) { call in
      let host = try Self.host(call)
      return try Response.json(["host": Self.use(of: host, in: call.tables).map { ["resource": $0] }])
    }
    routes.on(.put, "os-hosts/:name", needs: .writeServices) { call in
      let host = try Self.host(call)
      let fields = try await call.body()
      try fields.refuseUnknown(except: ["status"])
      let isEnabled: Bool
      switch try fields.requiredText("status").lowercased() {
      case "enable": isEnabled = true
      case "disable": isEnabled = false
      case let status: throw StorageError.invalid("status", "must be enable or disable, not '\(status.prefix(40))'.")
      }
      try await Self.set(isEnabled: isEnabled, host: host, reason: nil, call)
      return try Response.json(["host": host, "status": isEnabled ? "enabled" : "disabled"])
    }
  }

  /// `node` or `node@backend`, of a node that there is.
  private static func host(_ call: Call) throws -> String {
    let host = try call.parameter("name")
    let node = NodeName(host.prefix { $0 != "@" })
    guard let row = call.tables.nodes[node], !row.isLost else {
      throw StorageError(.notFound, "Host '\(host.prefix(255))' could not be found.")
    }
    let backends = call.tables.observations[node]?.report.pools.map(\.backend) ?? []
    guard host == node || backends.contains(where: { "\(node)@\($0)" == host }) else {
      throw StorageError(.notFound, "Host '\(host.prefix(255))' could not be found.")
    }
    return host
  }

  /// All of it first, and then by project.
  private static func use(of host: String, in tables: Tables) -> [HostUse] {
    func isThere(_ pool: PoolName) -> Bool { pool.node == host || "\(pool.node)@\(pool.backend)" == host }
    var total = HostUse(of: "(total)", on: host)
    var projects: [ProjectID: HostUse] = [:]
    func count(of project: ProjectID, _ change: (inout HostUse) -> Void) {
      change(&total)
      change(&projects[project, default: HostUse(of: project, on: host)])
    }
    for volume in tables.volumes.values where volume.state != .deleted && volume.pool.map(isThere) ?? false {
      count(of: volume.project) { use in
        use.volumes += 1
        use.gigabytes += volume.size.gibibytesRoundedUp
      }
    }
    for snapshot in tables.snapshots.values where snapshot.state != .deleted && isThere(snapshot.pool) {
      count(of: snapshot.project) { use in
        use.snapshots += 1
        use.snapshotGigabytes += snapshot.size.gibibytesRoundedUp
      }
    }
    return [total] + projects.sorted { $0.key < $1.key }.map(\.value)
  }
}
