import TestBed
import Testing

/// Gives the tests of a suite, nested ones included, one fleet on loopback: started before the first and ended after the
/// last.
struct OneFleet: SuiteTrait, TestScoping {
  @TaskLocal private static var lent: LoopbackFleet?

  static func current() throws -> LoopbackFleet {
    guard let lent else { throw TestBedFailure("This suite lacks the trait .oneFleet.") }
    return lent
  }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      let fleet = try await LoopbackFleet(in: bed)
      try await fleet.telling { try await fleet.start() }
      try await Self.$lent.withValue(fleet) { try await function() }
    }
  }
}

extension Trait where Self == OneFleet {
  static var oneFleet: Self { OneFleet() }
}
