import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

extension BlockStorageRoutes {
  func addPools(to routes: Routes) {
    routes.on(.get, "scheduler-stats/get_pools", needs: .readPools) { call in
      let isDetailed = try call.query.flag("detail")
      let tables = call.tables
      var pools = tables.poolStates(policy: call.api.policy, at: call.now).sorted { $0.name < $1.name }
      if call.version >= Microversion(3, 28), let name = call.query["name"] {
        pools.removeAll { $0.name.description != name }
      }
      if call.version >= Microversion(3, 35), let name = call.query["volume_type"] {
        let type = try tables.volumeType(name)
        let request = PlacementRequest(size: .zero, extraSpecs: type.extraSpecs)
        let scheduler = Scheduler(weighing: call.api.policy.weighing)
        pools.removeAll { scheduler.refusal(of: request, by: $0)?.filter == "CapabilitiesFilter" }
      }
      return try Response.json([
        "pools": pools.map { pool in
          PoolResource(
            pool, detailed: isDetailed, reportedAt: tables.observations[pool.name.node]?.receivedAt)
        }
      ])
    }
    // What lists can be narrowed by (3.33): for clients that ask before they filter.
    routes.on(.get, "resource_filters", needs: .readVolumes, since: Microversion(3, 33)) { call in
      let resource = call.query["resource"]
      return try Response.json(
        ["resource_filters": ResourceFilters.all.filter { resource == nil || $0.resource == resource }])
    }
  }
}

private struct ResourceFilters: Encodable {
  let resource: String
  let filters: [String]

  static let all = [
    ResourceFilters(
      resource: "volume",
      filters: [
        "name", "status", "metadata", "bootable", "migration_status", "availability_zone", "group_id", "size",
        "created_at", "updated_at", "consumes_quota",
      ]),
    ResourceFilters(
      resource: "snapshot",
      filters: ["name", "status", "volume_id", "metadata", "availability_zone", "consumes_quota"]),
    ResourceFilters(resource: "group", filters: ["name", "status", "availability_zone"]),
    ResourceFilters(resource: "group_snapshot", filters: ["name", "status", "group_id"]),
    ResourceFilters(resource: "attachment", filters: ["volume_id", "status", "instance_id", "attach_status"]),
    ResourceFilters(
      resource: "message", filters: ["resource_uuid", "resource_type", "event_id", "request_id", "message_level"]),
    ResourceFilters(resource: "pool", filters: ["name", "volume_type"]),
    ResourceFilters(resource: "volume_type", filters: ["is_public", "extra_specs"]),
  ]
}

/// A pool as Cinder's scheduler shows it; sizes are GiB with two decimals.
private struct PoolResource: Encodable {
  let name: String
  var capabilities: [String: Capability]?

  init(_ pool: PoolState, detailed: Bool, reportedAt: Timestamp?) {
    name = pool.name.description
    guard detailed else { return }
    let report = pool.report
    // What the operator adds comes first, so that it can't hide a fact.
    var facts = report.capabilities.mapValues { $0.count == 1 ? Capability.text($0[0]) : .texts($0) }
    facts["pool_name"] = .text(pool.name.pool)
    facts["total_capacity_gb"] = .gibibytes(report.total)
    facts["free_capacity_gb"] = .gibibytes(report.free)
    facts["allocated_capacity_gb"] = .gibibytes(pool.promised)
    facts["provisioned_capacity_gb"] = .gibibytes(pool.promised + report.foreignProvisioned)
    facts["max_over_subscription_ratio"] = .text("\(report.maxOverSubscriptionRatio)")
    facts["reserved_percentage"] = .number(Double(report.reservedPercentage))
    facts["thin_provisioning_support"] = .flag(report.isThin)
    facts["thick_provisioning_support"] = .flag(!report.isThin)
    facts["total_volumes"] = .number(Double(pool.volumeCount))
    facts["availability_zone"] = .text(pool.availabilityZone)
    facts["backend_state"] = .text(pool.isNodeUp && report.downReason == nil ? "up" : "down")
    facts["enabled"] = .flag(pool.isNodeEnabled)
    facts["timestamp"] = reportedAt.map { .text($0.cinder) }
    if let reason = report.downReason { facts["down_reason"] = .text(reason) }
    if facts["volume_backend_name"] == nil { facts["volume_backend_name"] = .text(pool.name.backend) }
    if facts["vendor_name"] == nil { facts["vendor_name"] = .text("Pumice") }
    if facts["multiattach"] == nil { facts["multiattach"] = .flag(false) }
    if facts["online_extend_support"] == nil { facts["online_extend_support"] = .flag(true) }
    capabilities = facts
  }
}

private enum Capability: Encodable {
  case text(String)
  case texts([String])
  case number(Double)
  case flag(Bool)

  static func gibibytes(_ size: ByteCount) -> Self { .number((size.gibibytes * 100).rounded() / 100) }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .text(let text): try container.encode(text)
    case .texts(let texts): try container.encode(texts)
    case .number(let number): try container.encode(number)
    case .flag(let flag): try container.encode(flag)
    }
  }
}
