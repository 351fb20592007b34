import HTTPTypes
import PumiceIdentity
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct ApplicationCredentialTests {
  private static let secret = "alice's password"

  private func with(
    project: ProjectID = "demo", role: Role = .member, expires: Timestamp? = nil,
    _ body: @escaping @Sendable (IdentityFixture, ApplicationCredential) async throws -> Void
  ) async throws {
    try await IdentityFixture.with { fixture in
      let credential = ApplicationCredential(
        id: UserFile.newID(), name: "backup", secret: fixture.alice.password, project: project, role: role,
        expires: expires)
      try fixture.change(fixture.alice) { $0.credentials = [credential] }
      try await body(fixture, credential)
    }
  }

  private func ask(_ fixture: IdentityFixture, _ who: String, more: String = "") async throws -> Answer {
    try await fixture.coordinator.send(
      .post, "/identity/v3/auth/tokens",
      """
      {"auth": {"identity": {"methods": ["application_credential"], "application_credential": {\(who), \
      "secret": "\(Self.secret)"}}\(more)}}
      """)
  }

  @Test func itsTokensAreForItsProject() async throws {
    try await with { fixture, credential in
      for who in [
        "\"id\": \"\(credential.id)\"",
        #""name": "backup", "user": {"name": "alice", "domain": {"id": "default"}}"#,
        "\"name\": \"backup\", \"user\": {\"id\": \"\(fixture.alice.id)\"}",
      ] {
        let answer = try await ask(fixture, who)
        #expect(answer.status == 201, "\(answer.text)")
        let token = try #require(answer.headers[.subjectToken])
        #expect(answer["token"]["project"]["id"].string == "demo")
        #expect(try await fixture.status(token, "/v3/demo/volumes") == 200)
        let other = try await fixture.coordinator.send(
          .post, "/identity/v3/auth/tokens",
          """
          {"auth": {"identity": {"methods": ["token"], "token": {"id": "\(token)"}}, "scope": {"project": {"id": "ops"}}}}
          """)
        #expect(other.status == 403)
      }
      #expect(try await ask(fixture, #""id": "nobody's""#).status == 401)
      let scoped = try await ask(
        fixture, "\"id\": \"\(credential.id)\"", more: #", "scope": {"project": {"id": "ops"}}"#)
      #expect(scoped.status == 400)
    }
  }

  @Test func itHasNoMoreThanItsUser() async throws {
    try await with(role: .admin) { fixture, credential in
      let answer = try await ask(fixture, "\"id\": \"\(credential.id)\"")
      #expect(answer["token"]["roles"].array.map { $0["name"].string } == ["reader", "member"])
      let token = try #require(answer.headers[.subjectToken])
      try fixture.change(fixture.alice) { $0.roles["demo"] = nil }
      #expect(try await fixture.status(token) == 401)
      #expect(try await ask(fixture, "\"id\": \"\(credential.id)\"").status == 401)
    }
  }

  @Test func itsEndEndsItsTokens() async throws {
    try await with(expires: .start + .seconds(60)) { fixture, credential in
      let (text, _) = try await fixture.office.token(
        for: TokenRequest(.applicationCredential(.id(credential.id), secret: Self.secret), for: .default),
        in: fixture.coordinator.tables, at: .start)
      _ = try fixture.office.bearer(of: text, in: fixture.coordinator.tables, at: .start + .seconds(59))
      #expect(throws: StorageError.self) {
        try fixture.office.bearer(of: text, in: fixture.coordinator.tables, at: .start + .seconds(60))
      }
    }
  }

  @Test func deletedItIsWorthNothing() async throws {
    try await with { fixture, credential in
      let token = try #require(
        try await ask(fixture, "\"id\": \"\(credential.id)\"").headers[.subjectToken])
      try fixture.change(fixture.alice) { $0.credentials = nil }
      #expect(try await fixture.status(token) == 401)
    }
  }
}
