import ArgumentParser
import PumiceModel

/// Whether, and how long, to wait until what was asked for is done.
struct WaitOptions: ParsableArguments {
  @Flag(help: "Wait until it is done, with a progress line on a terminal.")
  var wait = false

  @Option(parsing: .unconditional, help: ArgumentHelp("How long to wait; then exit status 7.", valueName: "seconds"))
  var timeout = 300

  func validate() throws {
    guard (1...604_800).contains(timeout) else {
      throw ValidationError("--timeout must be from 1 second to 604800 (a week), not \(timeout).")
    }
  }

  enum Outcome<Value: Sendable>: Sendable {
    case done(Value)
    /// Not yet; how it is.
    case going(String)
  }

  /// Looks again and again, less often by and by, until it is done.
  ///
  /// A coordinator that is away for a while does not end the wait: it may just be restarting.
  /// - Parameter advice: Where to look when it takes too long.
  /// - Throws: what `look` throws otherwise, and `timeout` with the last state.
  func until<Value: Sendable>(
    _ subject: String, advice: String, _ look: () async throws -> Outcome<Value>
  ) async throws -> Value {
    let clock = ContinuousClock()
    let start = clock.now
    var pause = Duration.milliseconds(50)
    defer { Console.current.showProgress(nil) }
    while true {
      let state: String
      do {
        switch try await look() {
        case .done(let value): return value
        case .going(let text): state = text
        }
      } catch let failure as CommandFailure where failure.status == .unavailable {
        state = "the coordinator does not answer"
      }
      let passed = clock.now - start
      guard passed < .seconds(timeout) else {
        throw CommandFailure(
          .timeout, "\(subject) is not done after \(timeout) seconds: \(state).", advice: advice)
      }
      Console.current.showProgress(Table.printable("\(subject): \(state) (\(passed.components.seconds) s)"))
      try await Task.sleep(for: min(pause, .seconds(timeout) - passed))
      pause = min(pause * 3 / 2, .seconds(2))
    }
  }

  /// Looks at `resource` until `judge` finds it done. It must not vanish meanwhile.
  func follow<Resource: ProjectResource>(
    _ resource: Resource, whileItIsBeing participle: String, _ client: CoordinatorClient,
    _ judge: (Resource) async throws -> Outcome<Resource>
  ) async throws -> Resource {
    try await until(resource.title, advice: resource.whatHoldsItUp) {
      guard let now: Resource = try await client.resource(id: resource.id) else {
        throw CommandFailure(.notFound, "\(resource.title) was deleted while it was being \(participle).")
      }
      return try await judge(now)
    }
  }

  /// Waits until what was just asked for is there.
  func untilMade<Resource: ProjectResource>(
    _ resource: Resource, _ participle: String, _ client: CoordinatorClient
  ) async throws -> Resource {
    try await follow(resource, whileItIsBeing: participle, client) { now in
      switch now.status {
      case "creating", "deleting": return .going(await client.state(of: now))
      case "error": throw await client.failure("\(now.title) (\(now.id)) could not be \(participle)", of: now)
      default: return .done(now)
      }
    }
  }

  func untilGone<Resource: ProjectResource>(_ resource: Resource, _ client: CoordinatorClient) async throws {
    try await until(resource.title, advice: resource.whatHoldsItUp) {
      guard let now: Resource = try await client.resource(id: resource.id) else { return .done(()) }
      if now.status == "error_deleting" {
        throw await client.failure("\(now.title) could not be deleted", of: now)
      }
      return .going(now.status)
    }
  }
}

extension ProjectResource {
  fileprivate var whatHoldsItUp: String { "It goes on by itself; \(Self.explainer) says what holds it up." }
}
