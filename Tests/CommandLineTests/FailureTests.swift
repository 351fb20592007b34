import Testing

@testable import pumice

struct FailureTests {
  @Test(arguments: [
    (400, "badRequest", ExitStatus.usage), (401, "unauthorized", .denied), (403, "forbidden", .denied),
    (404, "itemNotFound", .notFound), (409, "conflictingRequest", .conflict), (413, "overLimit", .overQuota),
    (500, "computeFault", .failed), (503, "serviceUnavailable", .unavailable), (504, "gatewayTimeout", .timeout),
  ])
  func theStatusDecidesAndTheMessageIsTheCoordinators(_ code: Int, _ kind: String, _ status: ExitStatus) async throws {
    let (run, _) = try await run(
      "volume", "list", against: ["GET \(Fixture.detail)": [.error(code, kind, "This is why.")]])
    #expect(run.status == status)
    #expect(run.errors.hasPrefix("pumice: This is why."))
    #expect(!run.errors.contains("\n"))
  }

  @Test func theCoordinatorsOwnCodeGoesBeforeTheStatus() async throws {
    var answer = ScriptedCoordinator.Answer.error(400, "badRequest", "Volume db is in use.")
    answer.headers["X-Pumice-Error"] = "inUse"
    let (run, _) = try await run("volume", "list", against: ["GET \(Fixture.detail)": [answer]])
    #expect(run.status == .conflict)
  }

  @Test func anAnswerWithoutMessageIsToldByItsStatus() async throws {
    let (run, _) = try await run(
      "volume", "list", against: ["GET \(Fixture.detail)": [.init(status: 502, body: "<html>Bad gateway</html>")]])
    #expect(run.status == .unavailable)
    #expect(run.errors.contains("502"))
  }

  @Test func somethingThatIsNoCoordinatorIsToldSo() async throws {
    let (run, _) = try await run(
      "volume", "list", against: ["GET \(Fixture.detail)": [.init(body: "<html>Welcome</html>")]])
    #expect(run.status == .failed)
    #expect(run.errors.contains("no JSON"))
  }

  @Test func aMessageCannotDriveTheTerminal() async throws {
    let (run, _) = try await run(
      "volume", "list", against: ["GET \(Fixture.detail)": [.error(400, "badRequest", "evil\u{1B}[2J\nname")]])
    #expect(run.errors == "pumice: evil\u{FFFD}[2J\u{FFFD}name")
  }

  @Test func aCoordinatorThatIsAwayIsUnavailable() async throws {
    // A port that was just given back: nobody listens there.
    let url = try await ScriptedCoordinator([:]).serve { $0 }
    let run = await CommandRun.pumice(["volume", "list"], url: url)
    #expect(run.status == .unavailable)
    #expect(run.errors.hasPrefix("pumice: Can't reach the coordinator at \(url): "))
    #expect(run.errors.contains("refused"))
    #expect(run.errors.contains("PUMICE_URL"))
  }

  @Test func anUnknownHostIsNamed() async throws {
    let run = await CommandRun.pumice(["volume", "list"], url: "http://no-such-host.invalid:1")
    #expect(run.status == .unavailable)
    #expect(run.errors.contains("no-such-host.invalid"))
  }
}
