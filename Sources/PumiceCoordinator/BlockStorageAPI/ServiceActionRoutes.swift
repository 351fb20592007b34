import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  /// What an operator does with services beside switching them on and off.
  func addServiceActions(to routes: Routes) {
    routes.on(.put, "os-services/freeze", needs: .writeServices) { try await Self.setFrozen(true, $0) }
    routes.on(.put, "os-services/thaw", needs: .writeServices) { try await Self.setFrozen(false, $0) }
    for (path, since) in [("failover_host", Microversion(3, 0)), ("failover", Microversion(3, 26))] {
      routes.on(.put, RouterPath("os-services/\(path)"), needs: .writeServices, since: since) {
        try await Self.failOver($0)
      }
    }
    // openstacksdk sends PUT.
    for method in [HTTPRequest.Method.post, .put] {
      routes.on(method, "workers/cleanup", needs: .writeServices, since: Microversion(3, 24)) {
        try await Self.cleanUp($0)
      }
    }
  }

  /// Work that was interrupted is gone on with by itself: there is nothing to clean up, for anybody.
  private static func cleanUp(_ call: Call) async throws -> Response {
    let fields = try await call.body()
    try fields.refuseUnknown(except: [
      "cluster_name", "host", "binary", "is_up", "disabled", "resource_id", "resource_type", "service_id",
    ])
    for name in ["cluster_name", "host", "binary"] { _ = try fields.text(name) }
    for name in ["is_up", "disabled"] { _ = try fields.flag(name) }
    _ = try fields.id("resource_id") as VolumeID?
    _ = try fields.integer("service_id", in: 0...2_147_483_647)
    if let kind = try fields.text("resource_type"), !["volume", "snapshot"].contains(kind.lowercased()) {
      throw StorageError.invalid("resource_type", "must be Volume or Snapshot, not '\(kind.prefix(40))'.")
    }
    return try Response.json(["cleaning": [String](), "unavailable": []], status: .accepted)
  }

  private static func failOver(_ call: Call) async throws -> Response {
    let fields = try await call.body()
    try fields.refuseUnknown(except: ["host", "backend_id", "cluster"])
    try fields.refuseUnsupported(["cluster"])
    _ = try fields.text("backend_id")
    let host = try fields.requiredText("host")
    let name = NodeName(host.prefix { $0 != "@" })
    guard call.tables.nodes[name] != nil else {
      throw StorageError(.notFound, "Service \(host) could not be found.")
    }
    try requireBackend(of: host, on: name, call.tables)
    throw StorageError(.unsupported, "What lies on \(host) is replicated nowhere, so there is nothing to fail over to.")
  }

  private static func setFrozen(_ isFrozen: Bool, _ call: Call) async throws -> Response {
    let fields = try await call.body()
    try fields.refuseUnknown(except: ["host", "cluster"])
    try fields.refuseUnsupported(["cluster"])
    let host = try fields.requiredText("host")
    let name = NodeName(host.prefix { $0 != "@" })
    let now = call.now
    try requireBackend(of: host, on: name, call.tables)
    try await call.api.store.write { try $0.setFrozen(isFrozen, name, at: now) }
    call.context.logger.notice("Node frozen or thawed", metadata: ["node": "\(name)", "frozen": "\(isFrozen)"])
    return .accepted
  }
}
