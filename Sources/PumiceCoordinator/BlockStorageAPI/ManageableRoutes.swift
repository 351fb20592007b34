import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel
import PumiceWire

/// A volume that a node has, as Cinder shows it to whoever wants to manage it.
private struct ManageableResource: Encodable {
  let reference: [String: String]
  let size: Int
  let isSafe: Bool
  var reason: OrNull<String>?
  var managedAs: OrNull<String>?
  var extra: OrNull<String>?

  init(_ stored: Inventory.StoredVolume, obstacle: String?, isManaged: Bool, isDetailed: Bool) {
    reference = ["source-name": "volume-\(stored.id)"]
    size = stored.size.gibibytesRoundedUp
    isSafe = obstacle == nil
    guard isDetailed else { return }
    reason = OrNull(wrappedValue: obstacle)
    managedAs = OrNull(wrappedValue: isManaged ? stored.id.description : nil)
    extra = OrNull(wrappedValue: nil)
  }

  enum CodingKeys: String, CodingKey {
    case reference, size
    case isSafe = "safe_to_manage"
    case reason = "reason_not_safe"
    case managedAs = "cinder_id"
    case extra = "extra_info"
  }
}

private struct ManageableList: Encodable {
  let volumes: [ManageableResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case volumes = "manageable-volumes"
    case links = "manageable-volumes_links"
  }
}

extension BlockStorageRoutes {
  /// Volumes that say themselves that they are Pumice's, and that the store does not know: left to themselves by `os-unmanage`, or
  /// found on a disk. They keep their identity.
  func addManageable(to routes: Routes) {
    for (path, since) in [("manageable_volumes", Microversion(3, 8)), ("os-volume-manage", Microversion(3, 0))] {
      routes.on(.get, RouterPath(path), needs: .manageVolumes, since: since) {
        try await Self.list($0, isDetailed: false)
      }
      routes.on(.get, RouterPath("\(path)/detail"), needs: .manageVolumes, since: since) {
        try await Self.list($0, isDetailed: true)
      }
      routes.on(.post, RouterPath(path), needs: .manageVolumes, since: since) { try await Self.manage($0) }
    }
  }

  private static func list(_ call: Call, isDetailed: Bool) async throws -> Response {
    guard let host = call.query["host"] else { throw StorageError.invalid("host", "is required.") }
    let (node, inventory) = try await call.inventory(of: host)
    let tables = call.tables
    let found = inventory.volumes.filter { host.names($0, on: node) }.sorted { $0.id < $1.id }
    let (slice, hasMore) = try Page(call.query).slice(of: found) { $0.id.description }
    var list = ManageableList(
      volumes: slice.map {
        ManageableResource(
          $0, obstacle: tables.obstacle(to: $0, on: node, inventory),
          isManaged: tables.volumes[$0.id].map { $0.state != .deleted } ?? false, isDetailed: isDetailed)
      })
    if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
    return try Response.json(list)
  }

  private static func manage(_ call: Call) async throws -> Response {
    let fields = try await call.body().root("volume")
    try fields.refuseUnknown(except: [
      "host", "cluster", "ref", "name", "description", "volume_type", "availability_zone", "metadata", "bootable",
    ])
    try fields.refuseUnsupported(["cluster"])
    let host = try fields.requiredText("host")
    guard let reference = try fields.object("ref") else { throw StorageError.invalid("ref", "is required.") }
    let text = try reference.text("source-name") ?? reference.text("source-id") ?? ""
    guard let id = VolumeID(text.hasPrefix("volume-") ? String(text.dropFirst(7)) : text) else {
      throw StorageError.invalid("ref", "must be source-name or source-id of a volume that is listed as manageable.")
    }
    var order = VolumeOrder(project: call.caller.project, size: nil)
    order.user = call.caller.user
    order.name = try fields.name() ?? ""
    order.summary = try fields.summary() ?? ""
    order.metadata = try fields.texts("metadata") ?? [:]
    order.type = try fields.text("volume_type").flatMap { $0.isEmpty ? nil : $0 }
    let bootable = try fields.flag("bootable") ?? false
    let (node, inventory) = try await call.inventory(of: host)
    if let zone = try fields.text("availability_zone"), !zone.isEmpty, zone != call.tables.nodes[node]?.availabilityZone
    {
      throw StorageError.invalid("availability_zone", "must be that of node \(node), or be left out.")
    }
    guard let stored = inventory.volumes.first(where: { $0.id == id && host.names($0, on: node) }) else {
      throw StorageError.invalid("ref", "names no volume of \(host): '\(text.prefix(64))'.")
    }
    let (now, wanted) = (call.now, order)
    let volume = try await call.api.store.write {
      try $0.manage(stored, on: node, inventory, as: wanted, bootable: bootable, at: now)
    }
    call.context.logger.notice("Volume is managed", metadata: ["volume.id": "\(id)", "host": "\(host)"])
    return try Response.json(
      ["volume": VolumeResource(call.tables.row(of: volume), in: VolumeView(call))], status: .accepted)
  }
}

extension Call {
  /// The node of `node@backend` or `node@backend#pool`, and what it has now.
  fileprivate func inventory(of host: String) async throws -> (NodeName, Inventory) {
    let name = NodeName(host.prefix { $0 != "@" })
    guard let node = tables.nodes[name], !node.isLost else {
      throw StorageError(.notFound, "Service \(host.prefix(255)) could not be found.")
    }
    return (name, try await api.watch.directory.node(name, at: node.address).inventory())
  }
}

extension String {
  fileprivate func names(_ stored: Inventory.StoredVolume, on node: NodeName) -> Bool {
    self == "\(node)@\(stored.backend)" || self == "\(node)@\(stored.backend)#\(stored.pool)"
  }
}
