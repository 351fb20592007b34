import Foundation
import HTTPTypes
import Hummingbird
import Logging
import PumiceIdentity
import PumiceModel

extension IdentityRoutes {
  func addTokens(to group: RouterGroup<APIContext>) {
    let (api, office) = (api, office)
    forBearers(.get, "auth/tokens", group) { request, _, bearer in
      let (text, subject) = try Self.subject(
        of: request, for: .service, bearer, office, api, isVouchedFor: Self.allowsExpired(request))
      let resource = TokenResource(
        subject, base: Call.baseURL(of: request, api: api),
        withCatalog: request.uri.queryParameters["nocatalog"] == nil)
      var response = try Response.json(["token": resource])
      response.headers[.subjectToken] = text
      return response
    }
    forBearers(.head, "auth/tokens", group) { request, _, bearer in
      let (text, _) = try Self.subject(
        of: request, for: .service, bearer, office, api, isVouchedFor: Self.allowsExpired(request))
      return Response(status: .ok, headers: [.subjectToken: text])
    }
    forBearers(.delete, "auth/tokens", group) { request, context, bearer in
      // Also one that is at its end may still be good for something, and may be ended for good.
      let (_, subject) = try Self.subject(of: request, for: .admin, bearer, office, api, isVouchedFor: true)
      let now = api.surroundings.now()
      try await api.store.write { $0.revoke(subject.token, at: now) }
      context.logger.info("Token revoked", metadata: ["user": "\(subject.user.name)"])
      return .noContent
    }
  }

  /// Whether the question is about what a token is worth where another service vouches for the request.
  private static func allowsExpired(_ request: Request) -> Bool {
    Query(request.uri.query)["allow_expired"].flatMap { Bool(openStack: $0) } ?? false
  }

  /// The token that a request is about: the caller's own, or, from some role on, anybody's.
  private static func subject(
    of request: Request, for least: Role, _ bearer: TokenOffice.Bearer, _ office: TokenOffice, _ api: CoordinatorAPI,
    isVouchedFor: Bool
  ) throws -> (String, TokenOffice.Bearer) {
    guard let text = request.headers[.subjectToken] else {
      throw StorageError.invalid("X-Subject-Token", "is required.")
    }
    let subject: TokenOffice.Bearer
    do throws(StorageError) {
      subject = try office.bearer(
        of: text, isVouchedFor: isVouchedFor, in: api.store.tables, at: api.surroundings.now())
    } catch {
      throw StorageError(.notFound, "The token in X-Subject-Token could not be found.")
    }
    // As in Keystone, services may ask what a token is worth; only admins may end somebody else's.
    guard subject.user.id == bearer.user.id || bearer.role.map({ $0 >= least }) == true else {
      throw StorageError(.forbidden, "Tokens of others need the role \(least.rawValue).")
    }
    return (text, subject)
  }

  func addReferences(to group: RouterGroup<APIContext>) {
    let (api, office) = (api, office)
    forBearers(.get, "auth/catalog", group) { request, _, bearer in
      guard let project = bearer.token.project else {
        throw StorageError(.forbidden, "A token without a project has no catalog.")
      }
      return try Response.json([
        "catalog": Catalog.services(base: Call.baseURL(of: request, api: api), project: project)
      ])
    }
    forBearers(.get, "auth/projects", group) { request, _, bearer in
      let base = Call.baseURL(of: request, api: api)
      return try Response.json(["projects": bearer.user.roles.keys.sorted().map { ProjectResource($0, base: base) }])
    }
    forBearers(.get, "projects", group) { request, _, bearer in
      let (base, wanted) = (Call.baseURL(of: request, api: api), Query(request.uri.query)["name"])
      let projects = Self.projects(for: bearer, office).filter { wanted == nil || $0 == wanted }
      return try Response.json(["projects": projects.map { ProjectResource($0, base: base) }])
    }
    forBearers(.get, "projects/:id", group) { request, context, bearer in
      guard let id = context.parameters.get("id")?.removingPercentEncoding,
        Self.projects(for: bearer, office).contains(id)
      else { throw StorageError(.notFound, "The project could not be found.") }
      return try Response.json(["project": ProjectResource(id, base: Call.baseURL(of: request, api: api))])
    }
    forBearers(.get, "users", group) { request, _, bearer in
      let (base, wanted) = (Call.baseURL(of: request, api: api), Query(request.uri.query)["name"])
      let users = Self.users(for: bearer, office).filter { wanted == nil || $0.name == wanted }
      return try Response.json(["users": users.map { UserResource($0, base: base) }])
    }
    forBearers(.get, "users/:id", group) { request, context, bearer in
      guard let user = Self.users(for: bearer, office).first(where: { $0.id == context.parameters.get("id") }) else {
        throw StorageError(.notFound, "The user could not be found.")
      }
      return try Response.json(["user": UserResource(user, base: Call.baseURL(of: request, api: api))])
    }
    forBearers(.get, "roles", group) { _, _, _ in
      try Response.json(["roles": Role.allCases.map { RoleResource($0) }])
    }
    forBearers(.get, "role_inferences", group) { _, _, _ in
      try Response.json(["role_inferences": Role.allCases.compactMap { RoleInference($0) }])
    }
    forBearers(.get, "domains", group) { _, _, _ in try Response.json(["domains": [DomainReference()]]) }
    forBearers(.get, "domains/default", group) { _, _, _ in try Response.json(["domain": DomainReference()]) }
  }

  /// Those that the caller may know of: its own, or, for admins, all.
  private static func projects(for bearer: TokenOffice.Bearer, _ office: TokenOffice) -> [ProjectID] {
    (bearer.role == .admin ? office.users.projects : Set(bearer.user.roles.keys)).sorted()
  }

  private static func users(for bearer: TokenOffice.Bearer, _ office: TokenOffice) -> [User] {
    bearer.role == .admin ? office.users.users : [bearer.user]
  }
}
