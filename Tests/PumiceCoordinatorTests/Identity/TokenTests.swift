import Foundation
import HTTPTypes
import HashTreeCollections
import PumiceIdentity
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct TokenTests {
  @Test func aPasswordGetsATokenWithItsCatalogThatOpensTheProject() async throws {
    try await IdentityFixture.with { fixture in
      let answer = try await fixture.ask()
      #expect(answer.status == 201)
      let (token, text) = (answer["token"], try #require(answer.headers[.subjectToken]))
      #expect(token["project"]["id"].string == "demo" && token["project"]["domain"]["id"].string == "default")
      #expect(token["user"]["name"].string == "alice" && token["user"]["id"].string == fixture.alice.id)
      #expect(token["roles"].array.map { $0["name"].string } == ["reader", "member"])
      #expect(token["expires_at"].string?.hasSuffix("Z") == true)
      let places = Dictionary(
        uniqueKeysWithValues: token["catalog"].array.map {
          ($0["type"].string ?? "", $0["endpoints"][0]["url"].string ?? "")
        })
      #expect(places["block-storage"] == "http://localhost/v3/demo" && places["volumev3"] == places["block-storage"])
      #expect(places["compute"] == "http://localhost/compute/v2.1")
      #expect(places["identity"] == "http://localhost/identity/v3")

      #expect(try await fixture.status(text, "/v3/demo/volumes") == 200)
      #expect(try await fixture.status(text, "/v3/ops/volumes") == 400)
      #expect(try await fixture.status(text, "/v3/os-services") == 403)
      let made = try await fixture.coordinator.send(
        .post, "/v3/volumes", #"{"volume": {"size": 1}}"#, token: text)
      #expect(made["volume"]["os-vol-tenant-attr:tenant_id"].string == "demo")
      #expect(made["volume"]["user_id"].string == "alice")
    }
  }

  @Test func theRoleIsThatOfTheProject() async throws {
    try await IdentityFixture.with { fixture in
      let token = try await fixture.token(scope: #", "scope": {"project": {"id": "ops"}}"#)
      #expect(try await fixture.status(token) == 200)
      let made = try await fixture.coordinator.send(
        .post, "/v3/volumes", #"{"volume": {"size": 1}}"#, token: token)
      #expect(made.status == 403)
      let admin = try await fixture.token("ada", scope: "")
      #expect(try await fixture.status(admin, "/v3/demo/volumes") == 200)
      #expect(try await fixture.status(admin, "/v3/nowhere/volumes") == 404)
    }
  }

  @Test func whateverIsWrongIsRefusedInTheSameWords() async throws {
    try await IdentityFixture.with { fixture in
      try fixture.change(fixture.ada) { $0.enabled = false }
      let refusals = [
        try await fixture.ask(password: "a wrong password"), try await fixture.ask("nobody"),
        try await fixture.ask("ada", scope: ""), try await fixture.ask(password: ""),
        try await fixture.ask(scope: #", "scope": {"project": {"id": "admin"}}"#),
      ]
      for answer in refusals {
        #expect(answer.status == 401)
        #expect(answer["error"]["code"].int == 401 && answer["error"]["title"].string == "Unauthorized")
        #expect(answer.text == refusals[0].text)
        #expect(answer.headers[.subjectToken] == nil)
      }
      #expect(try await fixture.ask(domain: #"{"name": "elsewhere"}"#).status == 401)
      #expect(try await fixture.ask(scope: #", "scope": {"system": {"all": true}}"#).status == 401)
    }
  }

  @Test(arguments: [
    "{}", #"{"auth": {}}"#, #"{"auth": {"identity": {"methods": []}}}"#,
    #"{"auth": {"identity": {"methods": ["password"]}}}"#,
    #"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}}"#,
    #"{"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "x", "password": 7}}}}}"#, "[]", "",
  ]) func aRequestThatIsNoneSaysWhatIsMissing(_ body: String) async throws {
    try await IdentityFixture.with { fixture in
      let answer = try await fixture.coordinator.send(.post, "/identity/v3/auth/tokens", body)
      #expect(answer.status == 400, "\(answer.text)")
      #expect(answer["error"]["title"].string == "Bad Request")
    }
  }

  @Test func aTokenWithoutAProjectOnlyAsksForAnother() async throws {
    try await IdentityFixture.with { fixture in
      let token = try await fixture.token(scope: #", "scope": "unscoped""#)
      #expect(try await fixture.status(token) == 403)
      let projects = try await fixture.coordinator.get("/identity/v3/auth/projects", token: token)
      #expect(projects["projects"].array.compactMap { $0["id"].string } == ["demo", "ops"])
      let scoped = try await fixture.coordinator.send(
        .post, "/identity/v3/auth/tokens",
        """
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "\(token)"}}, "scope": {"project": {"id": "ops"}}}}
        """)
      #expect(scoped.status == 201)
      #expect(try await fixture.status(try #require(scoped.headers[.subjectToken])) == 200)
    }
  }

  @Test func aTokenForAnotherEndsWithIt() async throws {
    try await IdentityFixture.with { fixture in
      let tables = fixture.coordinator.tables
      let first = try await fixture.office.token(
        for: TokenRequest(.password(.name("alice"), "alice's password"), for: .unscoped), in: tables, at: .start)
      let later = Timestamp.start + .seconds(1800)
      let second = try await fixture.office.token(
        for: TokenRequest(.token(first.text), for: .project("demo")), in: tables, at: later)
      #expect(second.bearer.token.expires == first.bearer.token.expires)
      let end = Timestamp.start + .seconds(3600)
      #expect(throws: Never.self) {
        try fixture.office.bearer(of: second.text, in: tables, at: Timestamp(milliseconds: end.milliseconds - 1))
      }
      for text in [first.text, second.text] {
        #expect(throws: StorageError.self) { try fixture.office.bearer(of: text, in: tables, at: end) }
      }
    }
  }

  @Test func aRevokedTokenIsWorthNothingAndForgottenAtItsEnd() async throws {
    try await IdentityFixture.with { fixture in
      let (token, other) = (try await fixture.token(), try await fixture.token())
      func revoke() async throws -> Int {
        try await fixture.coordinator.send(
          .delete, "/identity/v3/auth/tokens", token: other, headers: ["X-Subject-Token": token]
        ).status
      }
      #expect(try await revoke() == 204)
      #expect(try await fixture.status(token) == 401)
      #expect(try await fixture.status(other) == 200)
      #expect(try await revoke() == 404)
      #expect(fixture.coordinator.tables.revocations.count == 1)
      var tables = fixture.coordinator.tables
      let bearer = try fixture.office.bearer(of: other, in: tables, at: .start)
      tables.revoke(bearer.token, at: bearer.token.expires + .seconds(1))
      #expect(tables.revocations.count == 2)
      tables.revoke(bearer.token, at: bearer.token.lastEnd + .seconds(1))
      #expect(tables.revocations.isEmpty)
    }
  }

  @Test func tokensAreShownToTheirOwnersAndToAdmins() async throws {
    try await IdentityFixture.with { fixture in
      let (token, admin) = (try await fixture.token(), try await fixture.token("ada", scope: ""))
      func look(_ subject: String, by token: String, _ method: HTTPRequest.Method = .get) async throws -> Answer {
        try await fixture.coordinator.send(
          method, "/identity/v3/auth/tokens", token: token, headers: ["X-Subject-Token": subject])
      }
      #expect(try await look(token, by: token)["token"]["user"]["name"].string == "alice")
      #expect(try await look(token, by: admin)["token"]["user"]["name"].string == "alice")
      #expect(try await look(token, by: admin, .head).status == 200)
      #expect(try await look(admin, by: token).status == 403)
      #expect(try await look("nonsense", by: token).status == 404)
      #expect(try await look(token, by: "nonsense").status == 401)
    }
  }

  @Test(arguments: ["password", "disabled", "deleted", "left"])
  func aChangeOfTheUserEndsItsTokens(_ change: String) async throws {
    try await IdentityFixture.with { fixture in
      let token = try await fixture.token()
      #expect(try await fixture.status(token) == 200)
      let other = try #require(IdentityFixture.hashes.other)
      switch change {
      case "password": try fixture.change(fixture.alice) { $0.password = other }
      case "disabled": try fixture.change(fixture.alice) { $0.enabled = false }
      case "deleted": try UserFile.edit(fixture.file) { $0.users.removeAll { $0.name == "alice" } }
      default: try fixture.change(fixture.alice) { $0.roles["demo"] = nil }
      }
      #expect(try await fixture.status(token) == 401)
    }
  }

  @Test func aTokenThatSomebodyHasWrittenToIsNone() async throws {
    try await IdentityFixture.with { fixture in
      let token = try await fixture.token()
      let characters = Array(token)
      for position in stride(from: 0, to: characters.count, by: 7) {
        var forged = characters
        forged[position] = forged[position] == "A" ? "B" : "A"
        #expect(try await fixture.status(String(forged)) == 401)
      }
      // A seal of 32 bytes leaves two bits of its last letter to nobody.
      let last = try #require(token.utf8.last)
      let other = String(token.dropLast()) + String(UnicodeScalar(last + 1))
      for forged in [other, token + "A", token + "=", String(token.dropLast()), "." + token, token + "." + token, "."] {
        #expect(try await fixture.status(forged) == 401)
      }
      let foreign = try TokenSeal(key: TokenSeal.newKey()).sealed(
        Token(
          user: fixture.ada.id, project: "admin", methods: [.password], stamp: fixture.ada.password.stamp, audit: "a",
          issued: .start, expires: .start + .seconds(3600)))
      #expect(try await fixture.status(foreign) == 401)
    }
  }

  @Test func aFileThatCantBeReadLeavesTheUsersAsTheyWere() async throws {
    try await IdentityFixture.with { fixture in
      let token = try await fixture.token()
      try "{".write(toFile: fixture.file, atomically: true, encoding: .utf8)
      #expect(try await fixture.status(token) == 200)
    }
  }
}
