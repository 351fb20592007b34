import HTTPTypes
import Logging
import PumiceIdentity
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// A coordinator with users, and their file. Hashes are dear: there is one of each password.
struct IdentityFixture: Sendable {
  static let hashes = (
    alice: try? PasswordHash(of: "alice's password"), other: try? PasswordHash(of: "another password")
  )

  let coordinator: CoordinatorFixture
  let file: String
  let office: TokenOffice
  let alice: User
  let ada: User

  static func with(
    lifetime: Duration = .seconds(3600), _ body: @escaping @Sendable (IdentityFixture) async throws -> Void
  ) async throws {
    try await withTemporaryFolder { folder in
      let (file, password) = ("\(folder)/users.json", try #require(hashes.alice))
      let users = [
        User(id: UserFile.newID(), name: "alice", password: password, roles: ["demo": .member, "ops": .reader]),
        User(id: UserFile.newID(), name: "ada", password: password, roles: ["admin": .admin]),
      ]
      try UserFile.edit(file) { $0.users = users }
      var logger = Logger(label: "test")
      logger.logLevel = .critical
      let office = TokenOffice(
        try UserDirectory(path: file, logger: logger), seal: try TokenSeal(key: TokenSeal.newKey()), lifetime: lifetime)
      try await withCoordinator(mode: .builtin(office)) { coordinator in
        try await body(
          IdentityFixture(coordinator: coordinator, file: file, office: office, alice: users[0], ada: users[1]))
      }
    }
  }

  func change(_ user: User, _ change: (inout User) -> Void) throws {
    try UserFile.edit(file) { file in
      if let index = file.users.firstIndex(where: { $0.id == user.id }) { change(&file.users[index]) }
    }
  }

  /// Asks for a token by password; `scope` is JSON with a comma before it.
  func ask(
    _ user: String = "alice", password: String = "alice's password", domain: String = #"{"id": "default"}"#,
    scope: String = #", "scope": {"project": {"name": "demo", "domain": {"name": "Default"}}}"#
  ) async throws -> Answer {
    try await coordinator.send(
      .post, "/identity/v3/auth/tokens",
      """
      {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "\(user)", "domain": \(domain), \
      "password": "\(password)"}}}\(scope)}}
      """)
  }

  func token(_ user: String = "alice", scope: String? = nil) async throws -> String {
    let answer = scope == nil ? try await ask(user) : try await ask(user, scope: scope ?? "")
    try #require(answer.status == 201, "\(answer.text)")
    return try #require(answer.headers[.subjectToken])
  }

  func status(_ token: String, _ path: String = "/v3/volumes") async throws -> Int {
    try await coordinator.get(path, token: token).status
  }
}
