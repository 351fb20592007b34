import PumiceModel
import Testing

struct RetryTests {
  @Test func backOffDoublesUpToAMinute() {
    let seconds = (0...12).map { Retry.backoff(afterAttempts: $0).components.seconds }
    #expect(seconds == [1, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60])
    #expect(Retry.backoff(afterAttempts: .max) == .seconds(60))
  }

  @Test func eachFailureIsCountedWithItsReasonAndTime() {
    var retry = Retry()
    retry.failed(StorageError(.timeout, "slow"), at: .start)
    #expect(retry.attempts == 1)
    #expect(retry.lastError == "slow")
    #expect(retry.notBefore == .start + .seconds(1))
    retry.failed(StorageError(.unavailable, "away"), at: .start + .seconds(10))
    #expect(retry.attempts == 2)
    #expect(retry.lastError == "away")
    #expect(retry.notBefore == .start + .seconds(12))
  }

  @Test func progressForgetsFailuresAndStandingStillDoesNot() {
    var retry = Retry()
    retry.failed(StorageError(.timeout, "slow"), at: .start)
    retry.progressed(to: 0.2, at: .start)
    #expect(retry.attempts == 0)
    #expect(retry.lastError == nil)
    #expect(retry.progress == 0.2)
    #expect(retry.notBefore.map { $0 > .start && $0 < .start + .seconds(1) } == true)
    retry.failed(StorageError(.timeout, "slow"), at: .start)
    retry.progressed(to: 0.2, at: .start)
    #expect(retry.attempts == 1)
    #expect(retry.lastError == "slow")
  }
}
