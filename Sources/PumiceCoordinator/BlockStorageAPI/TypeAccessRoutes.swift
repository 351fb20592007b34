import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

/// A project that may use a private type, as Cinder shows it.
private struct TypeAccessResource: Encodable {
  let typeID: String
  let projectID: String

  enum CodingKeys: String, CodingKey {
    case typeID = "volume_type_id"
    case projectID = "project_id"
  }
}

extension BlockStorageRoutes {
  /// Which projects may use a private type.
  func addTypeAccess(to routes: Routes) {
    routes.on(.get, "types/:id/os-volume-type-access", needs: .writeTypes) { call in
      let type = try call.typeInPath()
      guard !type.isPublic else {
        throw StorageError(.notFound, "Volume type \(type.name) is public, so there is no list of who has access.")
      }
      return try Response.json([
        "volume_type_access": (type.projects ?? []).sorted().map {
          TypeAccessResource(typeID: type.id.description, projectID: $0)
        }
      ])
    }
    routes.on(.post, "types/:id/action", needs: .writeTypes) { call in
      let id = try call.typeInPath().id
      let body = try await call.body()
      guard body.values.count == 1, let name = body.values.keys.first,
        let isOpen = ["addProjectAccess": true, "removeProjectAccess": false][name]
      else { throw StorageError.invalid("body", "must have addProjectAccess or removeProjectAccess.") }
      let fields = try body.root(name)
      try fields.refuseUnknown(except: ["project"])
      let project = try fields.requiredText("project")
      try call.api.authenticator.requireProject(project)
      try await call.api.store.write { try $0.setAccess(to: id, of: project, isOpen) }
      call.context.logger.info(
        "Access to a volume type set", metadata: ["type.id": "\(id)", "project": "\(project)", "open": "\(isOpen)"])
      return .accepted
    }
  }
}
