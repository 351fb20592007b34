import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A group type as Cinder shows it since 3.11.
private struct GroupTypeResource: Encodable {
  let id: String
  let name: String
  @OrNull var description: String?
  let isPublic: Bool
  /// For admins.
  var specs: [String: String]?

  init(_ type: GroupType, for role: Caller.Role) {
    id = type.id.description
    name = type.name
    isPublic = type.isPublic
    description = type.summary.isEmpty ? nil : type.summary
    if role == .admin { specs = type.specs }
  }

  enum CodingKeys: String, CodingKey {
    case id, name, description
    case isPublic = "is_public"
    case specs = "group_specs"
  }
}

private struct GroupTypeList: Encodable {
  let types: [GroupTypeResource]
  var links: [Link]?

  enum CodingKeys: String, CodingKey {
    case types = "group_types"
    case links = "group_type_links"
  }
}

extension BlockStorageRoutes {
  private static let since = Microversion(3, 11)

  func addGroupTypes(to routes: Routes) {
    routes.on(.get, "group_types", needs: .readTypes, since: Self.since) { call in
      let types = try call.listedGroupTypes()
      let (slice, hasMore) = try Page(call.query).slice(of: types) { $0.id.description }
      var list = GroupTypeList(types: slice.map { GroupTypeResource($0, for: call.caller.role) })
      if hasMore, let last = slice.last { list.links = [call.nextPage(after: last.id.description)] }
      return try Response.json(list)
    }
    routes.on(.get, "group_types/default", needs: .readTypes, since: Self.since) { _ in
      throw StorageError(.notFound, "There is no default group type.")
    }
    routes.on(.get, "group_types/:id", needs: .readTypes, since: Self.since) { call in
      try call.show(try call.groupTypeInPath())
    }
    routes.on(.post, "group_types", needs: .writeTypes, since: Self.since) { call in
      let fields = try await call.groupTypeFields(known: ["name", "description", "is_public", "group_specs"])
      let name = try fields.requiredText("name")
      let summary = try fields.text("description", mayHaveLineBreaks: true) ?? ""
      let isPublic = try fields.flag("is_public") ?? true
      let specs = try checkedSpecs(try fields.texts("group_specs") ?? [:], as: "group_specs")
      let (now, surroundings) = (call.now, call.api.surroundings)
      let type = try await call.api.store.write {
        try $0.createGroupType(
          name: name, summary: summary, isPublic: isPublic, specs: specs, at: now, in: surroundings)
      }
      call.context.logger.info("Group type created", metadata: ["type.id": "\(type.id)", "type.name": "\(name)"])
      return try call.show(type, status: .accepted)
    }
    routes.on(.put, "group_types/:id", needs: .writeTypes, since: Self.since) { call in
      let id = try call.groupTypeInPath().id
      let fields = try await call.groupTypeFields(known: ["name", "description", "is_public"])
      let name = try fields.text("name", mayBeEmpty: false)
      let summary = try fields.text("description", mayHaveLineBreaks: true)
      let isPublic = try fields.flag("is_public")
      guard name != nil || summary != nil || isPublic != nil else {
        throw StorageError.invalid("group_type", "must have a name, description or is_public.")
      }
      let type = try await call.api.store.write {
        try $0.editGroupType(id, name: name, summary: summary, isPublic: isPublic)
      }
      return try call.show(type)
    }
    routes.on(.delete, "group_types/:id", needs: .writeTypes, since: Self.since) { call in
      let id = try call.groupTypeInPath().id
      try await call.api.store.write { try $0.deleteGroupType(id) }
      call.context.logger.info("Group type deleted", metadata: ["type.id": "\(id)"])
      return .accepted
    }
  }

  func addGroupSpecs(to routes: Routes) {
    let (all, one) = ("group_types/:id/group_specs" as RouterPath, "group_types/:id/group_specs/:key" as RouterPath)
    routes.on(.get, all, needs: .writeTypes, since: Self.since) { call in
      try Response.json(["group_specs": try call.groupTypeInPath().specs])
    }
    routes.on(.post, all, needs: .writeTypes, since: Self.since) { call in
      let id = try call.groupTypeInPath().id
      let body = try await call.body()
      try body.refuseUnknown(except: ["group_specs"])
      guard let entries = try body.texts("group_specs") else {
        throw StorageError.invalid("group_specs", "is required.")
      }
      let specs = try checkedSpecs(entries, as: "group_specs")
      try await call.setGroupSpecs(specs, of: id)
      return try Response.json(["group_specs": specs], status: .accepted)
    }
    routes.on(.get, one, needs: .writeTypes, since: Self.since) { call in
      let key = try call.parameter("key")
      guard let value = try call.groupTypeInPath().specs[key] else { throw noSuchGroupSpec(key) }
      return try Response.json([key: value])
    }
    routes.on(.put, one, needs: .writeTypes, since: Self.since) { call in
      let id = try call.groupTypeInPath().id
      let key = try call.parameter("key")
      let specs = try checkedSpecs(try await call.body().allTexts(), as: "group_specs")
      guard specs.count == 1, specs[key] != nil else {
        throw StorageError.invalid("body", "must have exactly the key that the URL names.")
      }
      try await call.setGroupSpecs(specs, of: id)
      return try Response.json(specs)
    }
    routes.on(.delete, one, needs: .writeTypes, since: Self.since) { call in
      let id = try call.groupTypeInPath().id
      let key = try call.parameter("key")
      try await call.api.store.write { tables in
        var specs = try tables.groupType(id).specs
        guard specs.removeValue(forKey: key) != nil else { throw noSuchGroupSpec(key) }
        _ = try tables.editGroupType(id, specs: specs)
      }
      return .accepted
    }
  }
}

private func noSuchGroupSpec(_ key: String) -> StorageError {
  StorageError(.notFound, "The group type has no spec with key '\(key.prefix(64))'.")
}

extension Call {
  fileprivate func show(_ type: GroupType, status: HTTPResponse.Status = .ok) throws -> Response {
    try Response.json(["group_type": GroupTypeResource(type, for: caller.role)], status: status)
  }

  fileprivate func groupTypeInPath() throws -> GroupType {
    try tables.groupType(try id("id", ofA: "Group type"), isForAdmin: caller.role == .admin)
  }

  fileprivate func setGroupSpecs(_ specs: [String: String], of id: GroupTypeID) async throws {
    try await api.store.write { tables in
      let old = try tables.groupType(id).specs
      _ = try tables.editGroupType(id, specs: old.merging(specs) { _, new in new })
    }
  }

  fileprivate func groupTypeFields(known: Set<String>) async throws -> RequestFields {
    let body = try await body()
    try body.refuseUnknown(except: ["group_type"])
    let fields = try body.root("group_type")
    try fields.refuseUnknown(except: known)
    return fields
  }

  /// By name; `is_public` narrows it for admins.
  fileprivate func listedGroupTypes() throws(StorageError) -> [GroupType] {
    var types = tables.groupTypes.values.filter { $0.isPublic || caller.role == .admin }
    if caller.role == .admin, let text = query["is_public"], text.lowercased() != "none" {
      guard let isPublic = Bool(openStack: text) else {
        throw .invalid("is_public", "must be true, false or none, not '\(text.prefix(40))'.")
      }
      types.removeAll { $0.isPublic != isPublic }
    }
    return types.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
  }
}
