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
  /// - Throws: what `look` throws otherwise, and `timeout` with the last state.
  func until<Value: Sendable>(
    _ subject: String, _ look: () async throws -> Outcome<Value>
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
          .timeout, "\(subject) is not done after \(timeout) seconds: \(state).",
          advice: "It goes on by itself; pumice explain says what holds it up.")
      }
      Console.current.showProgress(Table.printable("\(subject): \(state) (\(passed.components.seconds) s)"))
      try await Task.sleep(for: min(pause, .seconds(timeout) - passed))
      pause = min(pause * 3 / 2, .seconds(2))
    }
  }
}
