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
    if let told = try? await explanation(of: resource),
      let reason = told[Resource.kind]["failure"].string ?? told["last_error"].string
        ?? told["messages"].array.last?["text"].string
    {
      return CommandFailure(.failed, "\(attempt): \(reason)")
    }
    return CommandFailure(.failed, "\(attempt).", advice: "See: \(Resource.explainer) \(resource.id)")
  }
}
