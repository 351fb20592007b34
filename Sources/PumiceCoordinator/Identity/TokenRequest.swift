import PumiceModel

/// What a client shows to get a token, and what the token is to be for (Identity API v3, "Password authentication…").
struct TokenRequest: Sendable {
  enum Name: Sendable {
    case id(String)
    case name(String)
  }

  enum CredentialName: Sendable {
    case id(String)
    case name(String, of: Name)
  }

  enum Proof: Sendable {
    case password(Name, String)
    case applicationCredential(CredentialName, secret: String)
    case token(String)
  }

  enum Scope: Sendable, Equatable {
    /// The user's project, if there is just one.
    case `default`
    case unscoped
    case project(ProjectID)
  }

  let proof: Proof
  let scope: Scope

  init(_ proof: Proof, for scope: Scope) {
    self.proof = proof
    self.scope = scope
  }

  /// Reads the body. Fields that are not known are passed over, as Keystone does.
  init(_ body: RequestFields) throws(StorageError) {
    let auth = try body.root("auth")
    guard let identity = try auth.object("identity") else { throw .invalid("identity", "is required.") }
    self.init(try Self.proof(identity), for: try Self.scope(auth))
  }

  private static func proof(_ identity: RequestFields) throws(StorageError) -> Proof {
    guard case .array(let methods)? = identity.value("methods"), !methods.isEmpty else {
      throw .invalid("identity.methods", "must be a list such as [\"password\"].")
    }
    guard methods.count == 1, case .string(let method) = methods[0] else {
      throw StorageError(.unauthenticated, "Only one method of authentication is known at a time.")
    }
    guard let fields = try identity.object(method) else {
      throw .invalid("identity.\(method)", "is required, since it is among the methods.")
    }
    switch method {
    case "password":
      guard let user = try fields.object("user") else { throw .invalid("user", "is required.") }
      guard case .string(let password)? = user.value("password") else { throw .invalid("password", "is required.") }
      return .password(try name(user), password)
    case "application_credential":
      guard case .string(let secret)? = fields.value("secret") else { throw .invalid("secret", "is required.") }
      if let id = try fields.text("id") { return .applicationCredential(.id(id), secret: secret) }
      guard let user = try fields.object("user") else { throw .invalid("user", "is required with a name.") }
      return .applicationCredential(.name(try fields.requiredText("name"), of: try name(user)), secret: secret)
    case "token": return .token(try fields.requiredText("id", atMost: 4096))
    default: throw StorageError(.unauthenticated, "The method '\(method.prefix(40))' is not known here.")
    }
  }

  /// A user's or project's id or name; names are in the only domain.
  private static func name(_ fields: RequestFields) throws(StorageError) -> Name {
    if let id = try fields.text("id"), !id.isEmpty { return .id(id) }
    try requireDomain(fields)
    return .name(try fields.requiredText("name"))
  }

  private static func requireDomain(_ fields: RequestFields) throws(StorageError) {
    guard let domain = try fields.object("domain") else { throw .invalid("domain", "is required with a name.") }
    let (id, name) = (try domain.text("id"), try domain.text("name"))
    guard id == Domain.id || name?.lowercased() == Domain.id else {
      throw StorageError(.unauthenticated, "There is only the domain '\(Domain.name)'.")
    }
  }

  private static func scope(_ auth: RequestFields) throws(StorageError) -> Scope {
    switch auth.value("scope") {
    case nil: return .default
    case .string("unscoped"): return .unscoped
    default: break
    }
    guard let scope = try auth.object("scope"), let project = try scope.object("project") else {
      throw StorageError(.unauthenticated, "Tokens are for projects only, not for domains or the system.")
    }
    switch try name(project) {
    case .id(let id): return .project(id)
    case .name(let name): return .project(name)
    }
  }
}

/// The one domain that there is.
enum Domain {
  static let id = "default"
  static let name = "Default"
}
