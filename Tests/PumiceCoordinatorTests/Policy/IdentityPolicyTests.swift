import HTTPTypes
import Hummingbird
import PumiceIdentity
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// The routes of the built-in identity, which know their callers by themselves.
@Suite struct IdentityPolicyTests {
  /// Those that need no token: they tell nothing, or give one out.
  private static let open: Set<String> = ["GET /identity", "GET /identity/v3", "POST /identity/v3/auth/tokens"]
  /// What readers and members get from the others, beside 200: about themselves, with their own token for the subject.
  private static let others = ["DELETE /identity/v3/auth/tokens": 204]

  @Test func withoutATokenNothingIsTold() async throws {
    try await IdentityFixture.with { fixture in
      let routes = fixture.coordinator.api.routed().router.routes.filter { "\($0.path)".hasPrefix("/identity") }
      #expect(routes.count > Self.open.count + 5)
      for route in routes where !Self.open.contains("\(route.method) \(route.path)") {
        for token in [nil, "nonsense"] as [String?] {
          let answer = try await fixture.coordinator.send(route.method, fixture.path(of: route.path), token: token)
          #expect(answer.status == 401, "\(route.method) \(route.path): \(answer.text)")
        }
      }
    }
  }

  @Test(arguments: ["alice", "ada"])
  func everybodyMayLookAtWhatIsTheirs(user: String) async throws {
    try await IdentityFixture.with { fixture in
      let project = user == "ada" ? "admin" : "demo"
      let scope = #", "scope": {"project": {"name": "\#(project)", "domain": {"name": "Default"}}}"#
      for route in fixture.coordinator.api.routed().router.routes where "\(route.path)".hasPrefix("/identity") {
        let name = "\(route.method) \(route.path)"
        if Self.open.contains(name) { continue }
        let token = try await fixture.token(user, scope: scope)
        let answer = try await fixture.coordinator.send(
          route.method, fixture.path(of: route.path, for: user == "ada" ? fixture.ada.id : fixture.alice.id, project),
          token: token, headers: ["X-Subject-Token": token])
        #expect(answer.status == Self.others[name] ?? 200, "\(name): \(answer.text)")
      }
    }
  }

  @Test func ofOthersTokensServicesSeeWhatTheyAreWorthAndAdminsEndThem() async throws {
    try await IdentityFixture.with { fixture in
      try fixture.change(fixture.alice) { $0.roles["ops"] = .service }
      let scope = #", "scope": {"project": {"name": "ops", "domain": {"name": "Default"}}}"#
      let (service, member) = (try await fixture.token(scope: scope), try await fixture.token())
      let admin = try await fixture.token("ada", scope: #", "scope": {"project": {"id": "admin"}}"#)
      func status(_ method: HTTPRequest.Method, of subject: String, by token: String) async throws -> Int {
        try await fixture.coordinator.send(
          method, "/identity/v3/auth/tokens", token: token, headers: ["X-Subject-Token": subject]
        ).status
      }
      #expect(try await status(.get, of: admin, by: member) == 403)
      #expect(try await status(.get, of: admin, by: service) == 200)
      #expect(try await status(.head, of: admin, by: service) == 200)
      #expect(try await status(.delete, of: admin, by: service) == 403)
      #expect(try await status(.delete, of: service, by: admin) == 204)
      #expect(try await status(.get, of: admin, by: service) == 401)
    }
  }
}

extension IdentityFixture {
  fileprivate func path(of path: RouterPath, for user: String? = nil, _ project: String = "demo") -> String {
    "\(path)".replacing("users/{id}", with: "users/\(user ?? alice.id)")
      .replacing("projects/{id}", with: "projects/\(project)")
  }
}
