import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  func addVolumes(to routes: Routes) {
    routes.on(.post, "volumes", needs: .writeVolumes) { call in
      let order = try VolumeOrder(try await call.body(), of: call)
      if let name = order.type, let type = try? call.tables.volumeType(name) {
        _ = try call.tables.volumeType(type.id, of: call.caller.scope)
      }
      let (policy, surroundings) = (call.api.policy, call.api.surroundings)
      let volume = try await call.api.store.write { tables in
        try tables.createVolume(order, policy: policy, at: surroundings.now(), in: surroundings)
      }
      call.context.logger.info(
        "Volume asked for", metadata: ["volume.id": "\(volume.id)", "volume.state": "\(volume.state)"])
      return try call.show(call.tables.row(of: volume), status: .accepted)
    }
    routes.on(.get, "volumes", needs: .readVolumes) {
      try RowListing<VolumeRow>($0).response(detailed: false)
    }
    routes.on(.get, "volumes/detail", needs: .readVolumes) {
      try RowListing<VolumeRow>($0).response(detailed: true)
    }
    routes.on(.get, "volumes/summary", needs: .readVolumes, since: Microversion(3, 12)) { call in
      try Response.json(["volume-summary": VolumeSummary(call)])
    }
    routes.on(.get, "volumes/:id", needs: .readVolumes) { call in
      let tables = call.tables
      let volume = try tables.volume(try call.id("id", ofA: "Volume"), of: call.caller.scope)
      return try call.show(tables.row(of: volume))
    }
    routes.on(.put, "volumes/:id", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      let body = try await call.body()
      try body.refuseUnknown(except: ["volume"])
      let fields = try body.root("volume")
      try fields.refuseUnknown(except: ["name", "description", "display_name", "display_description", "metadata"])
      let (name, summary) = (try fields.name(), try fields.summary())
      let metadata = try fields.texts("metadata")
      if call.version >= Microversion(3, 53), fields.values.isEmpty {
        throw StorageError.invalid("volume", "must have a name, description or metadata.")
      }
      let (scope, now) = (call.caller.scope, call.now)
      let volume = try await call.api.store.write {
        try $0.editVolume(id, of: scope, name: name, summary: summary, metadata: metadata, at: now)
      }
      return try call.show(call.tables.row(of: volume))
    }
    routes.on(.delete, "volumes/:id", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      // Nothing here needs force.
      let (cascades, _) = try (call.query.flag("cascade"), call.query.flag("force"))
      let (scope, now) = (call.caller.scope, call.now)
      try await call.api.store.write { try $0.deleteVolume(id, of: scope, cascades: cascades, at: now) }
      call.context.logger.info("Volume is to be deleted", metadata: ["volume.id": "\(id)"])
      return .accepted
    }
  }
}

/// How many volumes there are and how large they are together (3.12), and all their metadata (3.36).
private struct VolumeSummary: Encodable {
  let count: Int
  let size: Int
  let metadata: [String: [String]]?

  init(_ call: Call) throws(StorageError) {
    let filter = try RowFilter<VolumeRow>(call)
    let tables = call.tables
    let volumes =
      filter.isForAllProjects
      ? tables.volumes.values.filter { $0.state != .deleted } : tables.volumes(of: call.caller.project)
    count = volumes.count
    size = volumes.reduce(0) { $0 + $1.size.gibibytesRoundedUp }
    guard call.version >= Microversion(3, 36) else {
      metadata = nil
      return
    }
    var values: [String: Set<String>] = [:]
    for volume in volumes {
      for (key, value) in volume.metadata { values[key, default: []].insert(value) }
    }
    metadata = values.mapValues { $0.sorted() }
  }

  enum CodingKeys: String, CodingKey {
    case metadata
    case count = "total_count"
    case size = "total_size"
  }
}
