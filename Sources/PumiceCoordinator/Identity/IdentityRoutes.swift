import Foundation
import HTTPTypes
import Hummingbird
import Logging
import PumiceIdentity
import PumiceModel

/// The part of the Identity API v3 that clients need to get in: versions, tokens, and what their tokens are for.
///
/// There only with `auth: builtin`. Users are managed in their file, by `pumice user`.
struct IdentityRoutes {
  let api: CoordinatorAPI
  let office: TokenOffice

  func add(to router: Router<APIContext>) {
    let (api, office) = (api, office)
    router.get("identity") { request, _ in
      let document = IdentityVersion(base: Call.baseURL(of: request, api: api))
      return try Response.json(["versions": ["values": [document]]], status: .multipleChoices)
    }
    router.get("identity/v3") { request, _ in
      try Response.json(["version": IdentityVersion(base: Call.baseURL(of: request, api: api))])
    }
    let group = router.group("identity/v3")
    on(.post, "auth/tokens", group) { request, context in
      let wanted = try TokenRequest(try await RequestFields.body(of: request))
      let now = api.surroundings.now()
      let (text, bearer) = try await office.token(for: wanted, in: api.store.tables, at: now)
      context.logger.info(
        "Token given out",
        metadata: ["user": "\(bearer.user.name)", "project": "\(bearer.token.project ?? "")"])
      let resource = TokenResource(
        bearer, base: Call.baseURL(of: request, api: api), withCatalog: request.uri.queryParameters["nocatalog"] == nil)
      var response = try Response.json(["token": resource], status: .created)
      response.headers[.subjectToken] = text
      response.headers[.vary] = "X-Auth-Token"
      return response
    }
    addTokens(to: group)
    addReferences(to: group)
  }

  /// A route for whoever has any token, also one without a project.
  func forBearers(
    _ method: HTTPRequest.Method, _ path: RouterPath, _ group: RouterGroup<APIContext>,
    _ handler: @escaping @Sendable (Request, APIContext, TokenOffice.Bearer) async throws -> Response
  ) {
    let (api, office) = (api, office)
    on(method, path, group) { request, context in
      guard let text = request.headers[.authToken] else {
        throw StorageError(.unauthenticated, "The request you have made requires authentication.")
      }
      let bearer = try office.bearer(of: text, in: api.store.tables, at: api.surroundings.now())
      if let project = bearer.token.project, let role = bearer.role {
        context.identity.caller = Caller(project: project, user: bearer.user.name, role: role)
      }
      return try await handler(request, context, bearer)
    }
  }

  private func on(
    _ method: HTTPRequest.Method, _ path: RouterPath, _ group: RouterGroup<APIContext>,
    _ handler: @escaping @Sendable (Request, APIContext) async throws -> Response
  ) {
    group.on(path, method: method) { request, context -> Response in
      do {
        return try await handler(request, context)
      } catch {
        return .identityFailure(RequestGate.apiError(error, logger: context.logger))
      }
    }
  }
}

private struct IdentityVersion: Encodable {
  let id = "v3.14"
  let status = "stable"
  let updated = "2020-04-07T00:00:00Z"
  let links: [Link]
  let mediaTypes = [["base": "application/json", "type": "application/vnd.openstack.identity-v3+json"]]

  init(base: String) { links = [Link(rel: "self", href: "\(base)/identity/v3/")] }

  enum CodingKeys: String, CodingKey {
    case id, status, updated, links
    case mediaTypes = "media-types"
  }
}

extension Response {
  /// An error as Keystone writes it.
  fileprivate static func identityFailure(_ error: APIError) -> Response {
    struct Body: Encodable {
      let code: Int
      let message: String
      let title: String
    }
    let body = Body(code: error.status.code, message: error.message, title: error.status.reasonPhrase)
    var response = (try? Response.json(["error": body], status: error.status)) ?? Response(status: error.status)
    response.headers[.errorCode] = error.code.rawValue
    if error.status == .unauthorized { response.headers[.wwwAuthenticate] = "Keystone uri=\"/identity\"" }
    return response
  }
}
