import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

extension AdminRoutes {
  func addNodes(to routes: Routes) {
    routes.on(.get, "nodes", needs: .readNodes) { call in
      let nodes = call.tables.nodes.values.sorted { $0.name < $1.name }
      return try Response.json(["nodes": nodes.map { NodeResource($0, call) }])
    }
    routes.on(.get, "nodes/:name", needs: .readNodes) { try $0.node(try $0.parameter("name")) }
    routes.on(.put, "nodes/:name", needs: .writeNodes) { call in
      let name = try call.parameter("name")
      let fields = try await call.body()
      try fields.refuseUnknown(except: ["enabled", "disabled_reason", "lost"])
      let isEnabled = try fields.flag("enabled")
      let reason = try fields.text("disabled_reason")
      guard isEnabled != nil || fields.has("lost") else {
        throw StorageError.invalid("enabled", "or lost must be given.")
      }
      // A node that shall get volumes again is not lost.
      let isLost = try fields.flag("lost") ?? (isEnabled == true ? false : nil)
      let now = call.now
      try await call.api.store.write {
        try $0.setNode(name, isEnabled: isEnabled, reason: reason, isLost: isLost, at: now)
      }
      call.context.logger.notice(
        "Node switched",
        metadata: [
          "node": "\(name)", "enabled": "\(isEnabled.map(String.init) ?? "as before")",
          "lost": "\(isLost.map(String.init) ?? "as before")", "reason": "\(reason ?? "")",
        ])
      return try call.node(name)
    }
  }
}

extension Call {
  fileprivate func node(_ name: NodeName) throws -> Response {
    guard let node = tables.nodes[name] else {
      throw StorageError(.notFound, "Node \(name.prefix(64)) could not be found.")
    }
    return try Response.json(["node": NodeResource(node, self)])
  }
}

/// A node with what it reported last.
private struct NodeResource: Encodable {
  struct Connector: Encodable {
    let kind: String
    let `protocol`: String
    let initiator: String
  }

  struct Pool: Encodable {
    let name: String
    let backend: String
    let pool: String
    let totalBytes: Int64
    let freeBytes: Int64
    @OrNull var downReason: String?

    enum CodingKeys: String, CodingKey {
      case name, backend, pool
      case totalBytes = "total_bytes"
      case freeBytes = "free_bytes"
      case downReason = "down_reason"
    }
  }

  let name: NodeName
  let address: String
  let zone: String
  let isEnabled: Bool
  @OrNull var disabledReason: String?
  let state: String
  let isLost: Bool
  @OrNull var lastReport: String?
  @OrNull var version: String?
  @OrNull var hypervisor: String?
  let connectors: [Connector]
  let pools: [Pool]
  let instancesCount: Int

  init(_ node: Node, _ call: Call) {
    let observation = call.tables.observations[node.name]
    let report = observation?.report
    name = node.name
    address = node.address
    zone = node.availabilityZone
    isEnabled = node.isEnabled
    state = call.tables.isUp(node.name, policy: call.api.policy, at: call.now) ? "up" : "down"
    isLost = node.isLost
    connectors = (report?.connectors ?? []).map {
      Connector(kind: $0.kind, protocol: $0.protocolName, initiator: $0.initiator)
    }
    pools = (report?.pools ?? []).map {
      Pool(
        name: "\(PoolName(node: node.name, backend: $0.backend, pool: $0.pool))", backend: $0.backend, pool: $0.pool,
        totalBytes: $0.total.bytes, freeBytes: $0.free.bytes, downReason: $0.downReason)
    }
    instancesCount = report?.instances.count ?? 0
    disabledReason = node.disabledReason
    lastReport = observation?.receivedAt.zulu
    version = report?.version
    hypervisor = report?.hypervisor
  }

  enum CodingKeys: String, CodingKey {
    case name, address, state, version, hypervisor, connectors, pools
    case zone = "availability_zone"
    case isEnabled = "enabled"
    case disabledReason = "disabled_reason"
    case isLost = "lost"
    case lastReport = "last_report"
    case instancesCount = "instances_count"
  }
}
