import HashTreeCollections
import NIOPosix
import PumiceIdentity
import PumiceModel
import Synchronization

/// Gives out tokens for secrets, and knows who shows one.
final class TokenOffice: Sendable {
  /// Whoever shows a token: what it says, and what that is worth now.
  struct Bearer: Sendable {
    let token: Token
    let user: User
    /// In the token's project; `nil` for a token without one.
    let role: Role?
  }

  /// Secrets that wait to be checked: each takes memory and a core for a while, and nobody may ask for all of both.
  private static let queueLimit = 32

  private let directory: UserDirectory
  private let seal: TokenSeal
  private let lifetime: Duration
  private let waiting = Mutex(0)

  init(_ directory: UserDirectory, seal: TokenSeal, lifetime: Duration) {
    self.directory = directory
    self.seal = seal
    self.lifetime = lifetime
  }

  var users: UserFile { directory.file }

  // MARK: Who shows a token

  /// - Parameter isVouchedFor: Whether the token is good for `Token.vouchedTime` beyond its end.
  /// - Throws: `unauthenticated` unless the token is this coordinator's, in its time, and what it was got for still stands.
  func bearer(
    of text: String, isVouchedFor: Bool = false, in tables: Tables, at now: Timestamp
  ) throws(StorageError) -> Bearer {
    guard let token = seal.opened(text), now < (isVouchedFor ? token.lastEnd : token.expires),
      tables.revocations[token.audit] == nil,
      let bearer = bearer(of: token, at: now)
    else { throw StorageError(.unauthenticated, "The token is unknown, at its end, or revoked.") }
    return bearer
  }

  private func bearer(of token: Token, at now: Timestamp) -> Bearer? {
    guard let user = users.user(token.user), user.isEnabled else { return nil }
    if let id = token.credential {
      guard let credential = user.credentials?.first(where: { $0.id == id }), credential.isGood(at: now),
        credential.secret.stamp == token.stamp, credential.project == token.project,
        let role = user.role(by: credential)
      else { return nil }
      return Bearer(token: token, user: user, role: role)
    }
    guard user.password.stamp == token.stamp else { return nil }
    guard let project = token.project else { return Bearer(token: token, user: user, role: nil) }
    return user.roles[project].map { Bearer(token: token, user: user, role: $0) }
  }

  // MARK: Giving out

  /// A sealed token, and what it says.
  ///
  /// - Throws: `unauthenticated` for whatever is wrong with the secret, without saying what; `busy` when too many wait for theirs.
  func token(
    for request: TokenRequest, in tables: Tables, at now: Timestamp
  ) async throws(StorageError) -> (text: String, bearer: Bearer) {
    let token: Token
    switch request.proof {
    case .password(let name, let password):
      let user = users.user(by: name)
      guard try await check(password, against: user?.password), let user, user.isEnabled else { throw Self.refusal }
      token = try self.token(of: user, for: request.scope, methods: [.password], at: now)
    case .applicationCredential(let name, let secret):
      let found = users.credential(by: name)
      guard try await check(secret, against: found?.credential.secret), let (user, credential) = found, user.isEnabled,
        credential.isGood(at: now), user.role(by: credential) != nil
      else { throw Self.refusal }
      guard request.scope == .default else {
        throw .invalid("scope", "of an application credential is its own: leave it out.")
      }
      token = Token(
        user: user.id, project: credential.project, methods: [.applicationCredential], credential: credential.id,
        stamp: credential.secret.stamp, audit: UserFile.newID(), issued: now, expires: now + lifetime)
    case .token(let text):
      let old = try bearer(of: text, in: tables, at: now)
      guard old.token.credential == nil else {
        throw StorageError(.forbidden, "A token of an application credential can't be changed for another.")
      }
      var methods = old.token.methods
      if !methods.contains(.token) { methods.append(.token) }
      var new = try self.token(of: old.user, for: request.scope, methods: methods, at: now)
      new.expires = old.token.expires
      token = new
    }
    guard let bearer = bearer(of: token, at: now) else { throw Self.refusal }
    return (try seal.sealed(token), bearer)
  }

  private static var refusal: StorageError {
    StorageError(.unauthenticated, "The request you have made requires authentication.")
  }

  private func token(
    of user: User, for scope: TokenRequest.Scope, methods: [Token.Method], at now: Timestamp
  ) throws(StorageError) -> Token {
    let project: ProjectID?
    switch scope {
    case .default: project = user.roles.count == 1 ? user.roles.first?.key : nil
    case .unscoped: project = nil
    case .project(let name):
      guard user.roles[name] != nil else { throw Self.refusal }
      project = name
    }
    return Token(
      user: user.id, project: project, methods: methods, stamp: user.password.stamp, audit: UserFile.newID(),
      issued: now, expires: now + lifetime)
  }

  private func check(_ secret: String, against hash: PasswordHash?) async throws(StorageError) -> Bool {
    let isAdmitted = waiting.withLock { waiting in
      guard waiting < Self.queueLimit else { return false }
      waiting += 1
      return true
    }
    guard isAdmitted else {
      throw StorageError(.busy, "Too many are asking for tokens at the same time; ask again in a moment.")
    }
    defer { waiting.withLock { $0 -= 1 } }
    do {
      return try await NIOThreadPool.singleton.runIfActive {
        // A name that nobody has takes as long.
        let fits = (hash ?? .nobodys).fits(secret)
        return fits && hash != nil
      }
    } catch {
      throw StorageError.wrap(error, "Checking a secret")
    }
  }
}

extension ApplicationCredential {
  fileprivate func isGood(at now: Timestamp) -> Bool { expires.map { now < $0 } ?? true }
}

extension User {
  /// What is left of a credential's role: never more than the user has.
  fileprivate func role(by credential: ApplicationCredential) -> Role? {
    roles[credential.project].map { min($0, credential.role) }
  }
}

extension UserFile {
  fileprivate func user(by name: TokenRequest.Name) -> User? {
    switch name {
    case .id(let id): user(id)
    case .name(let name): user(named: name)
    }
  }

  fileprivate func credential(
    by name: TokenRequest.CredentialName
  ) -> (user: User, credential: ApplicationCredential)? {
    for user in users {
      for credential in user.credentials ?? [] {
        switch name {
        case .id(let id) where credential.id == id: return (user, credential)
        case .name(let name, let owner) where credential.name == name && self.user(by: owner) == user:
          return (user, credential)
        case .id, .name: continue
        }
      }
    }
    return nil
  }
}
