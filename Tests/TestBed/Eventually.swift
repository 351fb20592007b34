/// Asks until there is an answer, and returns it. Throws when there is none in time, with the last error.
///
/// A probe that throws is asked again like one that returns `nil`.
@discardableResult
public func eventually<Answer: Sendable>(
  _ claim: String, within deadline: Duration = .seconds(60), every interval: Duration = .milliseconds(20),
  _ probe: () async throws -> Answer?
) async throws -> Answer {
  let clock = ContinuousClock()
  let end = clock.now + deadline
  var lastError: (any Error)?
  repeat {
    do {
      if let answer = try await probe() { return answer }
      lastError = nil
    } catch let error as CancellationError {
      throw error
    } catch {
      lastError = error
    }
    try await Task.sleep(for: interval)
  } while clock.now < end
  throw TestBedFailure("Not within \(deadline): \(claim).\(lastError.map { " Last: \($0)" } ?? "")")
}

/// Asks until the answer is yes.
public func eventually(
  _ claim: String, within deadline: Duration = .seconds(60), every interval: Duration = .milliseconds(20),
  _ holds: () async throws -> Bool
) async throws {
  try await eventually(claim, within: deadline, every: interval) { () async throws -> Void? in
    try await holds() ? () : nil
  }
}
