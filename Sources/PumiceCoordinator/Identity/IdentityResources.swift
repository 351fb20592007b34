import PumiceIdentity
import PumiceModel

/// What Keystone's answers are made of (Identity API v3).
struct DomainReference: Encodable {
  let id = Domain.id
  let name = Domain.name
}

/// A token as its owner, and services, are told of it.
struct TokenResource: Encodable {
  struct Person: Encodable {
    let id: String
    let name: String
    let domain = DomainReference()
    @OrNull var passwordExpiresAt: String?

    enum CodingKeys: String, CodingKey {
      case id, name, domain
      case passwordExpiresAt = "password_expires_at"
    }
  }

  struct Place: Encodable {
    let id: String
    let name: String
    let domain = DomainReference()
  }

  let methods: [String]
  let user: Person
  let auditIDs: [String]
  let issuedAt: String
  let expiresAt: String
  let isDomain: Bool?
  let project: Place?
  let roles: [RoleResource]?
  let catalog: [Catalog.Service]?

  init(_ bearer: TokenOffice.Bearer, base: String, withCatalog: Bool = true) {
    let token = bearer.token
    methods = token.methods.map(\.rawValue)
    user = Person(id: bearer.user.id, name: bearer.user.name)
    auditIDs = [token.audit]
    issuedAt = token.issued.cinder + "Z"
    expiresAt = token.expires.cinder + "Z"
    project = token.project.map { Place(id: $0, name: $0) }
    isDomain = token.project == nil ? nil : false
    roles = bearer.role.map { role in (role.implied + [role]).map { RoleResource($0) } }
    catalog = withCatalog ? token.project.map { Catalog.services(base: base, project: $0) } : nil
  }

  enum CodingKeys: String, CodingKey {
    case methods, user, project, roles, catalog
    case auditIDs = "audit_ids"
    case issuedAt = "issued_at"
    case expiresAt = "expires_at"
    case isDomain = "is_domain"
  }
}

struct RoleResource: Encodable {
  let id: String
  let name: String

  init(_ role: Role) {
    id = role.rawValue
    name = role.rawValue
  }
}

/// Which roles come with one of them (`GET /v3/role_inferences`).
struct RoleInference: Encodable {
  let prior: RoleResource
  let implies: [RoleResource]

  /// `nil` for a role that implies none.
  init?(_ role: Role) {
    guard !role.implied.isEmpty else { return nil }
    prior = RoleResource(role)
    implies = role.implied.map { RoleResource($0) }
  }

  enum CodingKeys: String, CodingKey {
    case implies
    case prior = "prior_role"
  }
}

struct ProjectResource: Encodable {
  let id: String
  let name: String
  let domainID = Domain.id
  let parentID = Domain.id
  let description = ""
  let enabled = true
  let isDomain = false
  let tags: [String] = []
  let links: [String: String]

  init(_ project: ProjectID, base: String) {
    id = project
    name = project
    links = ["self": "\(base)/identity/v3/projects/\(Query.encoded(project))"]
  }

  enum CodingKeys: String, CodingKey {
    case id, name, description, enabled, tags, links
    case domainID = "domain_id"
    case parentID = "parent_id"
    case isDomain = "is_domain"
  }
}

struct UserResource: Encodable {
  let id: String
  let name: String
  let domainID = Domain.id
  let enabled: Bool
  @OrNull var passwordExpiresAt: String?
  let links: [String: String]

  init(_ user: User, base: String) {
    id = user.id
    name = user.name
    enabled = user.isEnabled
    links = ["self": "\(base)/identity/v3/users/\(user.id)"]
  }

  enum CodingKeys: String, CodingKey {
    case id, name, enabled, links
    case domainID = "domain_id"
    case passwordExpiresAt = "password_expires_at"
  }
}
