import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A volume type as Cinder shows it.
struct VolumeTypeResource: Encodable {
  /// The extra specs that are no business of the operator's alone.
  private static let publicSpecs: Set<String> = ["RESKEY:availability_zones", "multiattach", "replication_enabled"]

  let id: String
  let name: String
  @OrNull var description: String?
  let isPublic: Bool
  let isPublicAttribute: Bool
  let extraSpecs: [String: String]
  var qosSpecs: OrNull<String>?

  init(_ type: VolumeType, for role: Caller.Role) {
    id = type.id.description
    name = type.name
    isPublic = type.isPublic
    isPublicAttribute = type.isPublic
    extraSpecs = role == .admin ? type.extraSpecs : type.extraSpecs.filter { Self.publicSpecs.contains($0.key) }
    description = type.summary.isEmpty ? nil : type.summary
    if role == .admin { qosSpecs = OrNull(wrappedValue: type.qosSpec?.description) }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, description
    case isPublic = "is_public"
    case isPublicAttribute = "os-volume-type-access:is_public"
    case extraSpecs = "extra_specs"
    case qosSpecs = "qos_specs_id"
  }
}

private struct VolumeTypeList: Encodable {
  let types: [VolumeTypeResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case types = "volume_types"
    case links = "volume_type_links"
  }
}

extension BlockStorageRoutes {
  func addTypes(to routes: Routes) {
    routes.on(.get, "types", needs: .readTypes) { call in
      let page = try Page(call.query)
      let types = try call.listedTypes()
      let (slice, hasMore) = try page.slice(of: types) { $0.id.description }
      var list = VolumeTypeList(types: slice.map { VolumeTypeResource($0, for: call.caller.role) })
      if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
      return try Response.json(list)
    }
    routes.on(.get, "types/default", needs: .readTypes) { call in
      try call.type(try call.tables.defaultType(of: call.caller.project))
    }
    routes.on(.get, "types/:id", needs: .readTypes) { call in try call.type(try call.typeInPath()) }
    routes.on(.post, "types", needs: .writeTypes) { call in
      let fields = try await call.typeFields(known: [
        "name", "description", "os-volume-type-access:is_public", "is_public", "extra_specs",
      ])
      let name = try fields.requiredText("name")
      let summary = try fields.text("description", mayHaveLineBreaks: true) ?? ""
      let isPublic = try fields.flag("os-volume-type-access:is_public") ?? fields.flag("is_public") ?? true
      let specs = try checkedSpecs(try fields.texts("extra_specs") ?? [:])
      let (now, surroundings) = (call.now, call.api.surroundings)
      let type = try await call.api.store.write {
        try $0.createType(
          name: name, summary: summary, isPublic: isPublic, extraSpecs: specs, at: now, in: surroundings)
      }
      call.context.logger.info("Volume type created", metadata: ["type.id": "\(type.id)", "type.name": "\(name)"])
      return try call.type(type)
    }
    routes.on(.put, "types/:id", needs: .writeTypes) { call in
      let id = try call.typeInPath().id
      let fields = try await call.typeFields(known: ["name", "description", "is_public"])
      let name = try fields.text("name", mayBeEmpty: false)
      let summary = try fields.text("description", mayHaveLineBreaks: true)
      let isPublic = try fields.flag("is_public")
      guard name != nil || summary != nil || isPublic != nil else {
        throw StorageError.invalid("volume_type", "must have a name, description or is_public.")
      }
      let type = try await call.api.store.write {
        try $0.editType(id, name: name, summary: summary, isPublic: isPublic)
      }
      return try call.type(type)
    }
    routes.on(.delete, "types/:id", needs: .writeTypes) { call in
      let id = try call.typeInPath().id
      try await call.api.store.write { try $0.deleteType(id) }
      call.context.logger.info("Volume type deleted", metadata: ["type.id": "\(id)"])
      return .accepted
    }
  }

  func addExtraSpecs(to routes: Routes) {
    routes.on(.get, "types/:id/extra_specs", needs: .readTypes) { call in
      try Response.json(["extra_specs": VolumeTypeResource(try call.typeInPath(), for: call.caller.role).extraSpecs])
    }
    routes.on(.post, "types/:id/extra_specs", needs: .writeTypes) { call in
      let id = try call.typeInPath().id
      let body = try await call.body()
      try body.refuseUnknown(except: ["extra_specs"])
      guard let entries = try body.texts("extra_specs") else {
        throw StorageError.invalid("extra_specs", "is required.")
      }
      let specs = try checkedSpecs(entries)
      _ = try await call.api.store.write { tables in
        let old = try tables.volumeType(id, of: nil).extraSpecs
        return try tables.editType(id, extraSpecs: old.merging(specs) { _, new in new })
      }
      return try Response.json(["extra_specs": specs])
    }
    routes.on(.get, "types/:id/extra_specs/:key", needs: .readTypes) { call in
      let specs = VolumeTypeResource(try call.typeInPath(), for: call.caller.role).extraSpecs
      let key = try call.parameter("key")
      guard let value = specs[key] else { throw noSuchSpec(key) }
      return try Response.json([key: value])
    }
    routes.on(.put, "types/:id/extra_specs/:key", needs: .writeTypes) { call in
      let id = try call.typeInPath().id
      let key = try call.parameter("key")
      let specs = try checkedSpecs(try await call.body().allTexts())
      guard specs.count == 1, specs[key] != nil else {
        throw StorageError.invalid("body", "must have exactly the key that the URL names.")
      }
      _ = try await call.api.store.write { tables in
        let old = try tables.volumeType(id, of: nil).extraSpecs
        return try tables.editType(id, extraSpecs: old.merging(specs) { _, new in new })
      }
      return try Response.json(specs)
    }
    routes.on(.delete, "types/:id/extra_specs/:key", needs: .writeTypes) { call in
      let id = try call.typeInPath().id
      let key = try call.parameter("key")
      _ = try await call.api.store.write { tables in
        var specs = try tables.volumeType(id, of: nil).extraSpecs
        guard specs.removeValue(forKey: key) != nil else { throw noSuchSpec(key) }
        return try tables.editType(id, extraSpecs: specs)
      }
      return .accepted
    }
  }
}

/// Keys as Cinder takes them: letters, digits, `_`, `-`, `.`, `:` and spaces.
func checkedSpecs(
  _ specs: [String: String], as field: String = "extra_specs"
) throws(StorageError) -> [String: String] {
  for key in specs.keys {
    let isPlain = key.unicodeScalars.allSatisfy {
      $0.isASCII
        && ($0.properties.isAlphabetic || $0.properties.numericType == .decimal || "_-.: ".unicodeScalars.contains($0))
    }
    guard isPlain else {
      throw .invalid(
        field, "has the key '\(key.prefix(64))'; a key consists of letters, digits, '_', '-', '.', ':'.")
    }
  }
  return specs
}

private func noSuchSpec(_ key: String) -> StorageError {
  StorageError(.notFound, "The volume type has no extra spec with key '\(key.prefix(64))'.")
}

extension Call {
  fileprivate func type(_ type: VolumeType) throws -> Response {
    try Response.json(["volume_type": VolumeTypeResource(type, for: caller.role)])
  }

  func typeInPath() throws -> VolumeType {
    try tables.volumeType(try id("id", ofA: "Volume type"), of: caller.scope)
  }

  fileprivate func typeFields(known: Set<String>) async throws -> RequestFields {
    let body = try await body()
    try body.refuseUnknown(except: ["volume_type"])
    let fields = try body.root("volume_type")
    try fields.refuseUnknown(except: known)
    return fields
  }

  /// By name; `is_public` narrows it for admins, `extra_specs` for all (3.52).
  fileprivate func listedTypes() throws(StorageError) -> [VolumeType] {
    var types = Array(tables.types.values)
    if let project = caller.scope { types = types.filter { $0.isOpen(to: project) } }
    if caller.role == .admin, let text = query["is_public"], text.lowercased() != "none" {
      guard let isPublic = Bool(openStack: text) else {
        throw .invalid("is_public", "must be true, false or none, not '\(text.prefix(40))'.")
      }
      types = types.filter { $0.isPublic == isPublic }
    }
    if version >= Microversion(3, 52), let text = query["extra_specs"] {
      let wanted = try MetadataFilter.entries(text)
      types = types.filter { type in wanted.allSatisfy { type.extraSpecs[$0.key] == $0.value } }
    }
    return types.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
  }
}
