import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct TurnstileTests {
  @Test func whoFindsItFullIsTurnedAwayAndWhoLeavesMakesRoom() async throws {
    let turnstile = Turnstile(limit: 2)
    for _ in 1...3 {
      try await turnstile.pass { () async throws(StorageError) in
        try await turnstile.pass { () async throws(StorageError) in
          let told = await #expect(throws: StorageError.self) { try await turnstile.pass {} }
          #expect(told?.code == .busy)
        }
        // An error leaves as well.
        await #expect(throws: StorageError.self) {
          try await turnstile.pass { () async throws(StorageError) in throw StorageError(.failed, "No.") }
        }
      }
    }
  }
}
