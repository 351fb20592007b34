import PumiceModel
import Testing

@testable import pumice

struct ExitStatusTests {
  @Test func theNumbersNeverChange() {
    let numbers = ExitStatus.allCases.map { "\($0.rawValue) \($0)" }
    #expect(
      numbers == [
        "0 ok", "1 failed", "2 usage", "3 notFound", "4 conflict", "5 overQuota", "6 unavailable", "7 timeout",
        "8 denied", "9 noSpace",
      ])
  }

  @Test(arguments: StorageError.Code.allCases)
  func noErrorEndsWithSuccess(_ code: StorageError.Code) {
    #expect(ExitStatus(code) != .ok)
  }

  @Test(arguments: [
    (StorageError.Code.invalid, ExitStatus.usage), (.notFound, .notFound), (.conflict, .conflict), (.inUse, .conflict),
    (.overQuota, .overQuota), (.unavailable, .unavailable), (.busy, .unavailable), (.timeout, .timeout),
    (.unauthenticated, .denied),
    (.forbidden, .denied), (.noSpace, .noSpace), (.wrongDevice, .failed),
  ])
  func eachCodeHasItsNumber(_ code: StorageError.Code, _ status: ExitStatus) {
    #expect(ExitStatus(code) == status)
  }

  @Test func theHelpTextListsThemAll() async {
    let run = await CommandRun.pumice(["--help"])
    #expect(run.status == .ok)
    for status in ExitStatus.allCases { #expect(run.output.contains("\(status.rawValue)  ")) }
    #expect(run.output.contains("PUMICE_URL") && run.output.contains("--generate-completion-script"))
  }
}
