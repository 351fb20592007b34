import HTTPTypes
import HashTreeCollections
import PumiceIdentity
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// What a token of another service, in `X-Service-Token`, is good for with the built-in identity.
@Suite struct ServiceTokenTests {
  private static func ended(_ fixture: IdentityFixture, ago: Duration) async throws -> (text: String, token: Token) {
    let age = ago + .seconds(3600)
    let given = try await fixture.office.token(
      for: TokenRequest(.password(.name("alice"), "alice's password"), for: .project("demo")),
      in: fixture.coordinator.tables, at: fixture.coordinator.api.surroundings.now() + (.zero - age))
    return (given.text, given.bearer.token)
  }

  private static func status(
    _ fixture: IdentityFixture, _ token: String?, service: String, _ path: String = "/v3/volumes"
  ) async throws -> Int {
    try await fixture.coordinator.send(.get, path, token: token, headers: ["X-Service-Token": service]).status
  }

  @Test func itCarriesAUserBeyondTheTokensEndButNotForEver() async throws {
    try await IdentityFixture.with { fixture in
      try fixture.change(fixture.ada) { $0.roles["ops"] = .service }
      let project = #", "scope": {"project": {"name": "ops", "domain": {"name": "Default"}}}"#
      let service = try await fixture.token("ada", scope: project)
      let recent = try await Self.ended(fixture, ago: .seconds(60))
      let old = try await Self.ended(fixture, ago: Token.vouchedTime + .seconds(1))
      #expect(try await fixture.status(recent.text) == 401)
      #expect(try await Self.status(fixture, recent.text, service: service) == 200)
      #expect(try await Self.status(fixture, old.text, service: service) == 401)
      // It is the user who asks, and nobody more.
      #expect(try await Self.status(fixture, recent.text, service: service, "/v3/os-services") == 403)
      #expect(try await Self.status(fixture, recent.text, service: service, "/v3/ops/volumes") == 400)
      #expect(try await Self.status(fixture, nil, service: service) == 401)

      let other = try #require(IdentityFixture.hashes.other)
      try fixture.change(fixture.alice) { $0.password = other }
      #expect(try await Self.status(fixture, recent.text, service: service) == 401)
    }
  }

  @Test func oneThatIsWorthLessIsRefusedWhoeverAsks() async throws {
    try await IdentityFixture.with { fixture in
      let (good, admin) = (try await fixture.token(), try await fixture.token("ada", scope: ""))
      let ended = try await Self.ended(fixture, ago: .seconds(60)).text
      let unscoped = try await fixture.token("ada", scope: #", "scope": "unscoped""#)
      for token in [good, ended] {
        for service in ["", "nonsense", good, ended, unscoped] {
          #expect(try await Self.status(fixture, token, service: service) == 401)
        }
        #expect(try await Self.status(fixture, token, service: admin) == 200)
      }
      let gone = try await fixture.coordinator.send(
        .delete, "/identity/v3/auth/tokens", token: admin, headers: ["X-Subject-Token": admin])
      #expect(gone.status == 204)
      #expect(try await Self.status(fixture, ended, service: admin) == 401)
    }
  }

  @Test func aRevokedTokenStaysSoBeyondItsEnd() async throws {
    try await IdentityFixture.with { fixture in
      let (token, admin) = (try await fixture.token(), try await fixture.token("ada", scope: ""))
      let ended = try await Self.ended(fixture, ago: .seconds(60))
      func ask(_ method: HTTPRequest.Method, _ query: String = "", by: String) async throws -> Int {
        try await fixture.coordinator.send(
          method, "/identity/v3/auth/tokens" + query, token: by, headers: ["X-Subject-Token": ended.text]
        ).status
      }
      // What other services ask to learn the same.
      #expect(try await ask(.get, by: admin) == 404)
      #expect(try await ask(.get, "?allow_expired=1", by: admin) == 200)
      #expect(try await ask(.head, "?nocatalog&allow_expired=True", by: token) == 200)
      #expect(try await ask(.get, "?allow_expired=no", by: admin) == 404)

      #expect(try await ask(.delete, by: token) == 204)
      #expect(try await ask(.get, "?allow_expired=1", by: admin) == 404)
      #expect(try await Self.status(fixture, ended.text, service: admin) == 401)
      // Others that are revoked later don't let it be forgotten.
      var tables = fixture.coordinator.tables
      let bearer = try fixture.office.bearer(of: token, in: tables, at: .start)
      tables.revoke(bearer.token, at: fixture.coordinator.api.surroundings.now())
      #expect(tables.revocations[ended.token.audit] != nil)
    }
  }
}
