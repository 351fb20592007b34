/// What all verbs `delete` do: each of those named is tried, and the first that failed decides the exit status.
struct Deletion {
  let client: CoordinatorClient
  let waiting: WaitOptions
  let output: OutputOptions

  /// - Parameter path: where the request for one of them goes.
  func run<Resource: ProjectResource>(
    _ names: [String], find: (String) async throws -> Resource, path: (Resource) -> APIPath
  ) async throws {
    var begun: [Resource] = []
    var firstFailure: CommandFailure?

    func attempt(_ work: () async throws -> Void) async throws {
      do {
        try await work()
      } catch let failure as CommandFailure {
        // The last words are those of the first failure, which decides the exit status.
        if firstFailure != nil { Console.current.complain(failure.line) }
        firstFailure = firstFailure ?? failure
      }
    }

    for name in names {
      try await attempt {
        let resource = try await find(name)
        try await client.delete(path(resource))
        begun.append(resource)
      }
    }
    for resource in begun {
      try await attempt {
        if waiting.wait { try await waiting.untilGone(resource, client) }
        output.confirm("\(resource.title) is \(waiting.wait ? "gone" : "being deleted").", id: resource.id)
      }
    }
    if output.json { Console.current.write(JSONValue.array(begun.map { .string($0.id) }).pretty) }
    if let firstFailure { throw firstFailure }
  }
}
