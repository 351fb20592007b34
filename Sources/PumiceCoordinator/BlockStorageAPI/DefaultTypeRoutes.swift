import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel

/// A project's default type as Cinder shows it since 3.62.
private struct DefaultTypeResource: Encodable {
  let projectID: String
  let typeID: String

  init(_ type: DefaultVolumeType) {
    projectID = type.project
    typeID = type.type.description
  }

  enum CodingKeys: String, CodingKey {
    case projectID = "project_id"
    case typeID = "volume_type_id"
  }
}

extension BlockStorageRoutes {
  func addDefaultTypes(to routes: Routes) {
    let since = Microversion(3, 62)
    routes.on(.get, "default-types", needs: .writeTypes, since: since) { call in
      let types = call.tables.defaultTypes.values.sorted { $0.project < $1.project }
      return try Response.json(["default_types": types.map { DefaultTypeResource($0) }])
    }
    routes.on(.get, "default-types/:project", needs: .writeTypes, since: since) { call in
      let project = try call.parameter("project")
      guard let type = call.tables.defaultTypes[project] else {
        throw StorageError(.notFound, "Project '\(project.prefix(64))' has no default type of its own.")
      }
      return try Response.json(["default_type": DefaultTypeResource(type)])
    }
    routes.on(.put, "default-types/:project", needs: .writeTypes, since: since) { call in
      let project = try call.parameter("project")
      try call.api.authenticator.requireProject(project)
      let body = try await call.body()
      try body.refuseUnknown(except: ["default_type"])
      let fields = try body.root("default_type")
      try fields.refuseUnknown(except: ["volume_type"])
      let name = try fields.requiredText("volume_type")
      let type = try await call.api.store.write { try $0.setDefaultType(name, of: project) }
      call.context.logger.notice(
        "Default type set", metadata: ["project": "\(project)", "type.id": "\(type.type)"])
      return try Response.json(["default_type": DefaultTypeResource(type)])
    }
    routes.on(.delete, "default-types/:project", needs: .writeTypes, since: since) { call in
      let project = try call.parameter("project")
      try await call.api.store.write { $0.unsetDefaultType(of: project) }
      call.context.logger.notice("Default type unset", metadata: ["project": "\(project)"])
      return .noContent
    }
  }
}
