import HTTPTypes
import HashTreeCollections
import Hummingbird
import PumiceModel

/// What a backend can do, as Cinder shows it to those who write extra specs.
private struct CapabilitiesResource: Encodable {
  struct Property: Encodable {
    let title: String
    let description: String
    let type: String
  }

  let namespace: String
  let vendor: String
  let backendName: String
  let poolName: String
  let driverVersion: String
  @OrNull var storageProtocol: String?
  let displayName: String
  let description: String
  let visibility = "public"
  let replicationTargets: [String] = []
  let properties: [String: Property]

  init(_ report: PoolReport, of node: NodeReport, host: String) {
    namespace = "OS::Storage::Capabilities::\(host)"
    vendor = report.capabilities["vendor_name"]?.first ?? "Pumice"
    backendName = report.capabilities["volume_backend_name"]?.first ?? report.backend
    poolName = report.pool
    driverVersion = node.version
    displayName = "Capabilities of backend \(report.backend) on node \(node.name)"
    description = "What volume types can ask for in their extra specs."
    properties = Self.properties(of: report)
    storageProtocol = report.capabilities["storage_protocol"]?.joined(separator: ", ")
  }

  private static func properties(of report: PoolReport) -> [String: Property] {
    var properties = report.capabilities.mapValues { values in
      Property(
        title: "From the backend", description: "Is \(values.joined(separator: ", ")).",
        type: values.allSatisfy { Bool(openStack: $0) != nil } ? "boolean" : "string")
    }
    for (name, description) in [
      ("thin_provisioning_support", "Whether volumes take room as they are written."),
      ("thick_provisioning_support", "Whether volumes take their room at once."),
      ("multiattach", "Whether several instances may have a volume at the same time."),
    ] {
      properties[name] = Property(title: name, description: description, type: "boolean")
    }
    return properties
  }

  enum CodingKeys: String, CodingKey {
    case namespace, description, visibility, properties
    case vendor = "vendor_name"
    case backendName = "volume_backend_name"
    case poolName = "pool_name"
    case driverVersion = "driver_version"
    case storageProtocol = "storage_protocol"
    case displayName = "display_name"
    case replicationTargets = "replication_targets"
  }
}

extension BlockStorageRoutes {
  func addCapabilities(to routes: Routes) {
    routes.on(.get, "capabilities/:host", needs: .readPools) { call in
      let host = try call.parameter("host")
      // `node@backend`, which stands for its first pool, or `node@backend#pool`.
      for observation in call.tables.observations.values {
        let node = observation.report
        let pools = node.pools.sorted { $0.pool < $1.pool }
        if let pool = pools.first(where: {
          host == "\(node.name)@\($0.backend)" || host == "\(node.name)@\($0.backend)#\($0.pool)"
        }) {
          return try Response.json(CapabilitiesResource(pool, of: node, host: host))
        }
      }
      throw StorageError(.notFound, "Service \(host.prefix(255)) could not be found.")
    }
  }

  /// Services that share their work are clusters to Cinder (3.7). Here every node has its own.
  func addClusters(to routes: Routes) {
    let since = Microversion(3, 7)
    for path in ["clusters", "clusters/detail"] {
      routes.on(.get, RouterPath(path), needs: .readServices, since: since) { _ in
        try Response.json(["clusters": [String]()])
      }
    }
    routes.on(.get, "clusters/:name", needs: .readServices, since: since) { call in
      throw StorageError(.notFound, "Cluster \(try call.parameter("name").prefix(255)) could not be found.")
    }
    for action in ["enable", "disable"] {
      routes.on(.put, RouterPath("clusters/\(action)"), needs: .writeServices, since: since) { call in
        let fields = try await call.body()
        try fields.refuseUnknown(except: ["name", "binary", "disabled_reason"])
        let name = try fields.requiredText("name")
        throw StorageError(.notFound, "Cluster \(name) could not be found.")
      }
    }
  }
}
