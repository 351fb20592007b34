import PumiceModel

/// Finds what the user calls by name or id.
extension CoordinatorClient {
  func volume(_ nameOrID: String) async throws -> VolumeResource { try await find(nameOrID) }

  /// Where several volumes have snapshots of one name, `volume` says which is meant.
  func snapshot(_ nameOrID: String, of volume: VolumeResource? = nil) async throws -> SnapshotResource {
    guard let volume else { return try await find(nameOrID) }
    let snapshot: SnapshotResource = try await find(nameOrID, among: [("volume_id", volume.id)])
    guard snapshot.volume == volume.id else {
      throw CommandFailure(
        .conflict, "\(snapshot.title) is of volume \(snapshot.volume), not of \(volume.label).",
        advice: "See: pumice snapshot list --volume \(volume.id)")
    }
    return snapshot
  }

  private func find<Resource: ProjectResource>(
    _ nameOrID: String, among filters: [(name: String, value: String)] = []
  ) async throws -> Resource {
    try Self.requireName(nameOrID, Resource.kind)
    if let id = Identifier<Resource>(nameOrID), let found: Resource = try await resource(id: id.description) {
      return found
    }
    let path = filters.reduce(APIPath.blockStorage(Resource.collection, "detail")) { $0.adding($1.name, $1.value) }
    let named = try await list(path.adding("name", nameOrID), Resource.collection)
      .map(Resource.init).filter { $0.name == nameOrID }
    return try Self.only(
      named, called: nameOrID, Resource.kind, in: project, see: "pumice \(Resource.kind) list")
  }

  /// `nil` when there is none.
  func resource<Resource: ProjectResource>(id: String) async throws -> Resource? {
    do {
      return Resource(json: try await get(.blockStorage(Resource.collection, id))[Resource.kind])
    } catch let failure as CommandFailure where failure.status == .notFound {
      return nil
    }
  }

  func instance(_ nameOrID: String) async throws -> InstanceResource {
    try Self.requireName(nameOrID, "instance")
    let all = try await list(.compute("servers", "detail"), "servers").map(InstanceResource.init)
    if let id = InstanceID(nameOrID), let instance = all.first(where: { $0.id == id.description }) { return instance }
    let named = all.filter { $0.name == nameOrID }
    return try Self.only(named, called: nameOrID, "instance", in: project, see: "pumice instance list")
  }

  func type(_ nameOrID: String) async throws -> TypeResource {
    try Self.requireName(nameOrID, "volume type")
    let all = try await list(.blockStorage("types"), "volume_types").map(TypeResource.init)
    if let type = all.first(where: { $0.id == nameOrID }) { return type }
    return try Self.only(
      all.filter { $0.name == nameOrID }, called: nameOrID, "volume type", in: project, see: "pumice type list")
  }

  /// An empty name, as from a shell variable that is not set, must not find what has no name.
  private static func requireName(_ nameOrID: String, _ kind: String) throws {
    guard !nameOrID.isEmpty else {
      throw CommandFailure(.usage, "An empty text is given for the \(kind).", advice: "Give a name or an id.")
    }
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
