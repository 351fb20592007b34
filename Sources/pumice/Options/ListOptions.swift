import ArgumentParser

/// Which of a project's things to list.
struct ListOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Only those of this name.", valueName: "name"))
  var name: String?

  @Option(help: ArgumentHelp("Only those with this status, such as available or error.", valueName: "status"))
  var status: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("At most so many; all without this.", valueName: "count"))
  var limit: Int?

  @Flag(help: "Those of all projects; for administrators.")
  var allProjects = false

  func validate() throws {
    if let limit, !(1...1000).contains(limit) { throw ValidationError("--limit must be from 1 to 1000, not \(limit).") }
  }

  func list<Resource: ProjectResource>(
    among filters: [(name: String, value: String)] = [], _ client: CoordinatorClient
  ) async throws -> [Resource] {
    var path = APIPath.blockStorage(Resource.collection, "detail")
    for filter in filters { path = path.adding(filter.name, filter.value) }
    if let name { path = path.adding("name", name) }
    if let status { path = path.adding("status", status) }
    if allProjects { path = path.adding("all_tenants", "1") }
    let items =
      if let limit { try await client.list(path, Resource.collection, limit: limit) } else {
        try await client.list(path, Resource.collection)
      }
    return items.map(Resource.init)
  }

  /// What an empty list is told as: where was looked, and where else there may be something.
  func nothing(_ things: String, in project: String) -> String {
    let kind = name == nil && status == nil ? "No \(things)" : "No such \(things)"
    return allProjects
      ? "\(kind) in any project." : "\(kind) in project \(project); administrators see all with --all-projects."
  }
}
