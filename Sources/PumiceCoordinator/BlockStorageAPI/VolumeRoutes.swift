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
        _ = try call.tables.volumeType(type.id, seesPrivate: call.seesPrivateTypes)
      }
      let (policy, surroundings) = (call.api.policy, call.api.surroundings)
      let volume = try await call.api.store.write { tables in
        try tables.createVolume(order, policy: policy, at: surroundings.now(), in: surroundings)
      }
      call.context.logger.info(
        "Volume asked for", metadata: ["volume.id": "\(volume.id)", "volume.state": "\(volume.state)"])
      return try call.volume(volume, status: .accepted)
    }
    routes.on(.get, "volumes", needs: .readVolumes) { try VolumeListing($0).response(detailed: false) }
    routes.on(.get, "volumes/detail", needs: .readVolumes) { try VolumeListing($0).response(detailed: true) }
    routes.on(.get, "volumes/summary", needs: .readVolumes, since: Microversion(3, 12)) { call in
      try Response.json(["volume-summary": VolumeSummary(call)])
    }
    routes.on(.get, "volumes/:id", needs: .readVolumes) { call in
      try call.volume(try call.tables.volume(try call.id("id", ofA: "Volume"), of: call.caller.scope))
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
      return try call.volume(volume)
    }
    routes.on(.delete, "volumes/:id", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      // Nothing hangs on a volume that `cascade` would have to take along, and nothing here needs force.
      _ = try (call.query.flag("cascade"), call.query.flag("force"))
      let (scope, now) = (call.caller.scope, call.now)
      try await call.api.store.write { try $0.deleteVolume(id, of: scope, at: now) }
      call.context.logger.info("Volume is to be deleted", metadata: ["volume.id": "\(id)"])
      return .accepted
    }
  }

  func addVolumeMetadata(to routes: Routes) {
    routes.on(.get, "volumes/:id/metadata", needs: .readVolumes) { call in
      let volume = try call.tables.volume(try call.id("id", ofA: "Volume"), of: call.caller.scope)
      return try Response.json(["metadata": volume.metadata])
    }
    routes.on(.post, "volumes/:id/metadata", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      let entries = try await call.metadata()
      let (scope, now) = (call.caller.scope, call.now)
      let volume = try await call.api.store.write { try $0.mergeMetadata(entries, into: id, of: scope, at: now) }
      return try Response.json(["metadata": volume.metadata])
    }
    routes.on(.put, "volumes/:id/metadata", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      let entries = try await call.metadata()
      let (scope, now) = (call.caller.scope, call.now)
      let volume = try await call.api.store.write { try $0.editVolume(id, of: scope, metadata: entries, at: now) }
      return try Response.json(["metadata": volume.metadata])
    }
    routes.on(.get, "volumes/:id/metadata/:key", needs: .readVolumes) { call in
      let volume = try call.tables.volume(try call.id("id", ofA: "Volume"), of: call.caller.scope)
      let key = try call.parameter("key")
      guard let value = volume.metadata[key] else {
        throw StorageError(.notFound, "Volume \(volume.id) has no metadata with key '\(key.prefix(64))'.")
      }
      return try Response.json(["meta": [key: value]])
    }
    routes.on(.put, "volumes/:id/metadata/:key", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      let key = try call.parameter("key")
      let entries = try await call.body().root("meta").allTexts()
      guard entries.count == 1, entries[key] != nil else {
        throw StorageError.invalid("meta", "must have exactly the key that the URL names.")
      }
      let (scope, now) = (call.caller.scope, call.now)
      _ = try await call.api.store.write { try $0.mergeMetadata(entries, into: id, of: scope, at: now) }
      return try Response.json(["meta": entries])
    }
    routes.on(.delete, "volumes/:id/metadata/:key", needs: .writeVolumes) { call in
      let id: VolumeID = try call.id("id", ofA: "Volume")
      let key = try call.parameter("key")
      let (scope, now) = (call.caller.scope, call.now)
      try await call.api.store.write { try $0.removeMetadata(key, of: id, of: scope, at: now) }
      return Response(status: .ok)
    }
  }
}

extension Call {
  /// An answer that shows one volume.
  func volume(_ volume: Volume, status: HTTPResponse.Status = .ok) throws -> Response {
    let fragment = try api.fragments.json(of: tables.row(of: volume), in: VolumeView(self))
    var buffer = ByteBuffer()
    buffer.reserveCapacity(fragment.count + 12)
    buffer.writeString("{\"volume\":")
    buffer.writeBytes(fragment)
    buffer.writeString("}")
    return .json(buffer, status: status)
  }

  fileprivate func metadata() async throws -> [String: String] {
    let body = try await body()
    try body.refuseUnknown(except: ["metadata"])
    guard let entries = try body.texts("metadata") else { throw StorageError.invalid("metadata", "is required.") }
    return entries
  }
}

/// How many volumes there are and how large they are together (3.12), and all their metadata (3.36).
private struct VolumeSummary: Encodable {
  let count: Int
  let size: Int
  let metadata: [String: [String]]?

  init(_ call: Call) throws(StorageError) {
    let filter = try VolumeFilter(call)
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
