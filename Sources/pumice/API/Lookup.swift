import PumiceModel

/// Finds what the user calls by name or id.
extension CoordinatorClient {
  func volume(_ nameOrID: String) async throws -> VolumeResource {
    if let id = VolumeID(nameOrID), let volume = try await volume(id: id.description) { return volume }
    let named = try await list(.blockStorage("volumes", "detail").adding("name", nameOrID), "volumes")
      .map(VolumeResource.init).filter { $0.name == nameOrID }
    return try Self.only(named, called: nameOrID, "volume", in: project, see: "pumice volume list")
  }

  /// `nil` when there is none.
  func volume(id: String) async throws -> VolumeResource? {
    do {
      return VolumeResource(json: try await get(.blockStorage("volumes", id))["volume"])
    } catch let failure as CommandFailure where failure.status == .notFound {
      return nil
    }
  }

  func instance(_ nameOrID: String) async throws -> InstanceResource {
    let all = try await list(.compute("servers", "detail"), "servers").map(InstanceResource.init)
    if let id = InstanceID(nameOrID), let instance = all.first(where: { $0.id == id.description }) { return instance }
    let named = all.filter { $0.name == nameOrID }
    return try Self.only(named, called: nameOrID, "instance", in: project, see: "pumice instance list")
  }

  func type(_ nameOrID: String) async throws -> TypeResource {
    let all = try await list(.blockStorage("types"), "volume_types").map(TypeResource.init)
    if let type = all.first(where: { $0.id == nameOrID }) { return type }
    return try Self.only(
      all.filter { $0.name == nameOrID }, called: nameOrID, "volume type", in: project, see: "pumice type list")
  }

  private static func only<Resource: NamedResource>(
    _ found: [Resource], called name: String, _ kind: String, in project: String, see: String
  ) throws -> Resource {
    guard let first = found.first else {
      throw CommandFailure(
        .notFound, "There is no \(kind) \"\(name)\" in project \(project).", advice: "See: \(see)")
    }
    guard found.count == 1 else {
      let ids = found.map(\.id).sorted().joined(separator: ", ")
      throw CommandFailure(
        .conflict, "\"\(name)\" is the name of \(found.count) \(kind)s: \(ids).", advice: "Give an id instead.")
    }
    return first
  }
}
