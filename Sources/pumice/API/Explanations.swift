/// What Pumice's own API says about one thing beyond what Cinder's does.
extension CoordinatorClient {
  func explanation<Resource: ProjectResource>(of resource: Resource) async throws -> JSONValue {
    try await get(.admin(Resource.collection, resource.id, "explain"))
  }

  /// How it is: its status and, where the coordinator knows, how far the work has come.
  func state(of resource: some ProjectResource) async -> String {
    guard let done = (try? await explanation(of: resource))?["progress"].double else { return resource.status }
    return "\(resource.status), \(JSONValue.short(done * 100)) %"
  }

  /// The failure of something that ended in an error state, with the coordinator's reason.
  func failure<Resource: ProjectResource>(_ attempt: String, of resource: Resource) async -> CommandFailure {
    let told = (try? await explanation(of: resource)) ?? .null
    // A volume's messages are also about its snapshots.
    let message = told["messages"].array.last { $0["snapshot_id"].string ?? resource.id == resource.id }
    if let reason = told[Resource.kind]["failure"].string ?? told["last_error"].string ?? message?["text"].string {
      return CommandFailure(.failed, "\(attempt): \(reason)")
    }
    return CommandFailure(.failed, "\(attempt).", advice: "See: \(Resource.explainer) \(resource.id)")
  }
}
