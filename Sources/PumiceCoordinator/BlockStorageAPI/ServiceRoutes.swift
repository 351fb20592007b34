import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A backend of a node, or the coordinator itself, in the shape of one of Cinder's services.
struct ServiceResource: Encodable {
  let binary: String
  let host: String
  let zone: String
  let status: String
  let state: String
  @OrNull var updatedAt: String?
  @OrNull var disabledReason: String?
  /// Of backends: they replicate nothing, so that nothing was ever failed over.
  var replicationStatus: String?
  var activeBackendID: OrNull<String>?
  var isFrozen: Bool?
  /// Since 3.7.
  var cluster: OrNull<String>?
  /// Since 3.49: whether the backend itself works.
  var backendState: String?

  enum CodingKeys: String, CodingKey {
    case binary, host, zone, status, state, cluster
    case updatedAt = "updated_at"
    case disabledReason = "disabled_reason"
    case backendState = "backend_state"
    case isFrozen = "frozen"
    case replicationStatus = "replication_status"
    case activeBackendID = "active_backend_id"
  }
}

extension BlockStorageRoutes {
  static let volumeBinary = "cinder-volume"

  func addServices(to routes: Routes) {
    routes.on(.get, "os-services", needs: .readServices) { call in
      var services = Self.services(call)
      if let binary = call.query["binary"] { services.removeAll { $0.binary != binary } }
      if let host = call.query["host"] {
        services.removeAll { $0.host != host && $0.host.prefix { $0 != "@" } != host[...] }
      }
      return try Response.json(["services": services])
    }
    routes.on(.put, "os-services/enable", needs: .writeServices) { try await Self.set(isEnabled: true, $0) }
    routes.on(.put, "os-services/disable", needs: .writeServices) { try await Self.set(isEnabled: false, $0) }
    routes.on(.put, "os-services/disable-log-reason", needs: .writeServices) { call in
      try await Self.set(isEnabled: false, isReasonRequired: true, call)
    }
    routes.on(.get, "os-availability-zone", needs: .readZones) { call in
      let (tables, policy, now) = (call.tables, call.api.policy, call.now)
      let zones = tables.availabilityZones().sorted().map { zone in
        ZoneResource(
          name: zone,
          isAvailable: tables.nodes.values.contains {
            $0.availabilityZone == zone && $0.takesVolumes && tables.isUp($0.name, policy: policy, at: now)
          })
      }
      return try Response.json(["availabilityZoneInfo": zones])
    }
  }

  /// The coordinator as Cinder's scheduler, and every backend of every node.
  static func services(_ call: Call) -> [ServiceResource] {
    let (tables, policy, now) = (call.tables, call.api.policy, call.now)
    var services = [
      ServiceResource(
        binary: "cinder-scheduler", host: call.api.hostName, zone: "internal", status: "enabled", state: "up",
        updatedAt: now.cinder, cluster: call.version >= Microversion(3, 7) ? OrNull(wrappedValue: nil) : nil)
    ]
    for node in tables.nodes.values.sorted(by: { $0.name < $1.name }) {
      let observation = tables.observations[node.name]
      let pools = observation?.report.pools ?? []
      // A node that has never been heard of since the coordinator began shows under its bare name.
      if observation != nil, pools.isEmpty { continue }
      let isUp = tables.isUp(node.name, policy: policy, at: now)
      for backend in observation == nil ? [""] : Set(pools.map(\.backend)).sorted() {
        let works = pools.contains { $0.backend == backend && $0.downReason == nil }
        services.append(
          ServiceResource(
            binary: volumeBinary, host: backend.isEmpty ? node.name : "\(node.name)@\(backend)",
            zone: node.availabilityZone, status: node.takesVolumes ? "enabled" : "disabled",
            state: isUp ? "up" : "down",
            updatedAt: observation?.receivedAt.cinder, disabledReason: node.refusalReason,
            replicationStatus: "disabled", activeBackendID: OrNull(wrappedValue: nil), isFrozen: node.isFrozen == true,
            cluster: call.version >= Microversion(3, 7) ? OrNull(wrappedValue: nil) : nil,
            backendState: call.version >= Microversion(3, 49) ? (isUp && works ? "up" : "down") : nil))
      }
    }
    return services
  }

  /// The switch is the node's. One that was meant for a backend that the node lacks, or that is not its only one, would do
  /// something else than it says.
  static func requireBackend(of host: String, on node: NodeName, _ tables: Tables) throws(StorageError) {
    guard host != node else { return }
    let backend = host.dropFirst(node.count + 1)
    let backends = Set(tables.observations[node]?.report.pools.map(\.backend) ?? [])
    guard backends.contains(String(backend)) else {
      throw StorageError(.notFound, "Service \(host) could not be found.", field: "host")
    }
    guard backends.count == 1 else {
      throw .invalid("host", "must be the node '\(node)': its \(backends.count) backends are switched together.")
    }
  }

  private static func set(isEnabled: Bool, isReasonRequired: Bool = false, _ call: Call) async throws -> Response {
    let fields = try await call.body()
    try fields.refuseUnknown(except: ["binary", "host", "service", "disabled_reason"])
    let host = try fields.requiredText("host")
    let binary = try fields.text("binary") ?? fields.text("service") ?? volumeBinary
    let reason = isReasonRequired ? try fields.requiredText("disabled_reason") : try fields.text("disabled_reason")
    guard binary == volumeBinary else {
      throw StorageError.invalid("binary", "can be \(volumeBinary) only, not '\(binary)'.")
    }
    try await set(isEnabled: isEnabled, host: host, reason: reason, call)
    return try Response.json(
      SwitchedService(
        host: host, service: binary, binary: binary, status: isEnabled ? "enabled" : "disabled",
        disabledReason: isEnabled ? nil : reason))
  }

  /// Has the node of a host get volumes, or get none.
  static func set(isEnabled: Bool, host: String, reason: String?, _ call: Call) async throws {
    let name = NodeName(host.prefix { $0 != "@" })
    let now = call.now
    try requireBackend(of: host, on: name, call.tables)
    try await call.api.store.write { try $0.setNode(name, isEnabled: isEnabled, reason: reason, at: now) }
    call.context.logger.notice(
      "Node switched", metadata: ["node": "\(name)", "enabled": "\(isEnabled)", "reason": "\(reason ?? "")"])
  }
}

private struct SwitchedService: Encodable {
  let host: String
  let service: String
  let binary: String
  let status: String
  @OrNull var disabledReason: String?

  enum CodingKeys: String, CodingKey {
    case host, service, binary, status
    case disabledReason = "disabled_reason"
  }
}

private struct ZoneResource: Encodable {
  struct State: Encodable { let available: Bool }

  let zoneName: String
  let zoneState: State

  init(name: String, isAvailable: Bool) {
    zoneName = name
    zoneState = State(available: isAvailable)
  }
}
