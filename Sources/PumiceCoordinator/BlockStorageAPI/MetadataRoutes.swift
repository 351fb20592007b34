import HTTPTypes
import Hummingbird
import PumiceModel

/// `…/{collection}/{id}/metadata` and `…/metadata/{key}`, for whatever has metadata.
struct MetadataRoutes<Kind> {
  /// Such as `volumes`.
  let collection: String
  /// How messages call one of them.
  let kind: String
  let reading: Permission
  let writing: Permission
  let read: @Sendable (Tables, Identifier<Kind>, ProjectID?) throws -> [String: String]
  let change:
    @Sendable (inout Tables, Identifier<Kind>, ProjectID?, MetadataChange, Timestamp) throws -> [String: String]

  func add(to routes: Routes) {
    let (kind, read, change) = (kind, read, change)
    @Sendable func changed(_ call: Call, by edit: MetadataChange) async throws -> [String: String] {
      let id: Identifier<Kind> = try call.id("id", ofA: kind)
      let (scope, now) = (call.caller.scope, call.now)
      return try await call.api.store.write { try change(&$0, id, scope, edit, now) }
    }
    let all = RouterPath(stringLiteral: "\(collection)/:id/metadata")
    routes.on(.get, all, needs: reading) { call in
      let metadata = try read(call.tables, try call.id("id", ofA: kind), call.caller.scope)
      return try Response.json(["metadata": metadata])
    }
    routes.on(.post, all, needs: writing) { call in
      try Response.json(["metadata": try await changed(call, by: .merge(try await call.metadata()))])
    }
    routes.on(.put, all, needs: writing) { call in
      try Response.json(["metadata": try await changed(call, by: .replace(try await call.metadata()))])
    }
    let one = RouterPath(stringLiteral: "\(collection)/:id/metadata/:key")
    routes.on(.get, one, needs: reading) { call in
      let id: Identifier<Kind> = try call.id("id", ofA: kind)
      let key = try call.parameter("key")
      guard let value = try read(call.tables, id, call.caller.scope)[key] else {
        throw StorageError(.notFound, "\(kind) \(id) has no metadata with key '\(key.prefix(64))'.")
      }
      return try Response.json(["meta": [key: value]])
    }
    routes.on(.put, one, needs: writing) { call in
      let key = try call.parameter("key")
      let entries = try await call.body().root("meta").allTexts()
      guard entries.count == 1, entries[key] != nil else {
        throw StorageError.invalid("meta", "must have exactly the key that the URL names.")
      }
      _ = try await changed(call, by: .merge(entries))
      return try Response.json(["meta": entries])
    }
    routes.on(.delete, one, needs: writing) { call in
      _ = try await changed(call, by: .remove(try call.parameter("key")))
      return Response(status: .ok)
    }
  }
}

extension BlockStorageRoutes {
  func addMetadata(to routes: Routes) {
    MetadataRoutes<Volume>(
      collection: "volumes", kind: "Volume", reading: .readVolumes, writing: .writeVolumes
    ) { tables, id, scope in
      try tables.volume(id, of: scope).metadata
    } change: { tables, id, scope, change, now in
      try tables.changeMetadata(of: id, of: scope, change, at: now)
    }.add(to: routes)
    MetadataRoutes<Snapshot>(
      collection: "snapshots", kind: "Snapshot", reading: .readSnapshots, writing: .writeSnapshots
    ) { tables, id, scope in
      try tables.snapshot(id, of: scope).metadata
    } change: { tables, id, scope, change, now in
      try tables.changeMetadata(of: id, of: scope, change, at: now)
    }.add(to: routes)
  }
}

extension Call {
  fileprivate func metadata() async throws -> [String: String] {
    let body = try await body()
    try body.refuseUnknown(except: ["metadata"])
    guard let entries = try body.texts("metadata") else { throw StorageError.invalid("metadata", "is required.") }
    return entries
  }
}
