import TestBed
import Testing

/// Gives the tests of a suite one fleet with a share.
struct OneShareFleet: SuiteTrait, TestScoping {
  @TaskLocal private static var lent: ShareFleet?

  static func current() throws -> ShareFleet {
    guard let lent else { throw TestBedFailure("This suite lacks the trait .oneShareFleet.") }
    return lent
  }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      let share = try await ShareFleet(in: bed)
      try await share.fleet.telling { try await share.start() }
      try await Self.$lent.withValue(share) { try await function() }
    }
  }
}

extension Trait where Self == OneShareFleet {
  static var oneShareFleet: Self { OneShareFleet() }
}
