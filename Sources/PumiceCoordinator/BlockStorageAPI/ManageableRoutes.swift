import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  /// Volumes and snapshots that say themselves that they are Pumice's, and that the store does not know. They keep their identity.
  func addManageable(to routes: Routes) {
    add(
      Inventory.StoredVolume.self, at: "manageable_volumes", "os-volume-manage", needs: .manageVolumes, to: routes,
      manage: Self.manageVolume)
    add(
      Inventory.StoredSnapshot.self, at: "manageable_snapshots", "os-snapshot-manage", needs: .manageSnapshots,
      to: routes, manage: Self.manageSnapshot)
  }

  private func add<Thing: Manageable>(
    _ kind: Thing.Type, at path: String, _ oldPath: String, needs permission: Permission, to routes: Routes,
    manage: @escaping @Sendable (Call) async throws -> Response
  ) {
    for (path, since) in [(path, Microversion(3, 8)), (oldPath, Microversion(3, 0))] {
      routes.on(.get, RouterPath(path), needs: permission, since: since) {
        try await $0.listManageable(kind, isDetailed: false)
      }
      routes.on(.get, RouterPath("\(path)/detail"), needs: permission, since: since) {
        try await $0.listManageable(kind, isDetailed: true)
      }
      routes.on(.post, RouterPath(path), needs: permission, since: since, manage)
    }
  }

  private static func manageVolume(_ call: Call) async throws -> Response {
    let fields = try await call.body().root("volume")
    try fields.refuseUnknown(except: [
      "host", "cluster", "ref", "name", "description", "volume_type", "availability_zone", "metadata", "bootable",
    ])
    try fields.refuseUnsupported(["cluster"])
    let host = try fields.requiredText("host")
    let (id, text) = try Inventory.StoredVolume.id(in: fields)
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
    guard let stored = inventory.volumes.first(where: { $0.id == id && $0.isOn(host, of: node) }) else {
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

  private static func manageSnapshot(_ call: Call) async throws -> Response {
    let fields = try await call.body().root("snapshot")
    try fields.refuseUnknown(except: ["volume_id", "ref", "name", "description", "metadata"])
    guard let volumeID: VolumeID = try fields.id("volume_id") else {
      throw StorageError.invalid("volume_id", "is required.")
    }
    let (id, text) = try Inventory.StoredSnapshot.id(in: fields)
    var order = SnapshotOrder(of: volumeID)
    order.user = call.caller.user
    order.name = try fields.name() ?? ""
    order.summary = try fields.summary() ?? ""
    order.metadata = try fields.texts("metadata") ?? [:]
    let volume = try call.tables.volume(volumeID, of: call.caller.scope)
    guard let pool = volume.pool else {
      throw StorageError(.conflict, "\(volume.label) is \(volume.state.rawValue), and is on no node.")
    }
    let (node, inventory) = try await call.inventory(of: pool.node)
    guard let stored = inventory.snapshots.first(where: { $0.id == id && $0.volume == volumeID }) else {
      throw StorageError.invalid("ref", "names no snapshot of \(volume.label) on \(pool): '\(text.prefix(64))'.")
    }
    let (now, wanted) = (call.now, order)
    let snapshot = try await call.api.store.write { try $0.manageSnapshot(stored, on: node, as: wanted, at: now) }
    call.context.logger.notice(
      "Snapshot is managed", metadata: ["snapshot.id": "\(id)", "volume.id": "\(volumeID)", "node": "\(node)"])
    return try call.show(call.tables.row(of: snapshot), status: .accepted)
  }
}
