import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import PumiceModel

extension RouterPath {
  /// As OpenAPI writes it, without the slash before it: `volumes/{id}`.
  fileprivate var plain: String { String(description.trimmingPrefix("/")) }
}

/// The routes of one façade, under one or several prefixes.
///
/// Whatever a route does, before it come the caller, the microversion and the permission; its errors get the façade's form.
struct Routes {
  let api: CoordinatorAPI
  /// `nil` for an API without microversions.
  let versions: APIVersions?
  private let prefixes: [String]
  private let groups: [RouterGroup<APIContext>]
  private let list: RouteList

  init(
    api: CoordinatorAPI, versions: APIVersions?, under prefixes: [String], of router: Router<APIContext>,
    noting list: RouteList
  ) {
    self.api = api
    self.versions = versions
    self.prefixes = prefixes.map { RouterPath($0).plain }
    groups = prefixes.map { router.group(RouterPath($0)) }
    self.list = list
  }

  /// A route whose body says by its one member what is to be done, each with a permission of its own.
  func onActions<Action: ResourceAction>(_ path: RouterPath, _ actions: Action.Type, onA kind: String) {
    // The least of them lets callers in; then the action decides.
    guard let least = Action.allCases.map(\.permission).min(by: { $0.leastRole < $1.leastRole }) else { return }
    for action in Action.allCases {
      note(.post, path, action.permission, since: action.since, action: action.rawValue)
    }
    handle(.post, path, needs: least, since: nil) { try await $0.perform(actions, onA: kind) }
  }

  /// - Parameter since: The microversion that brought the route; before it there is none.
  func on(
    _ method: HTTPRequest.Method, _ path: RouterPath, needs permission: Permission, since: Microversion? = nil,
    _ handler: @escaping @Sendable (Call) async throws -> Response
  ) {
    note(method, path, permission, since: since)
    handle(method, path, needs: permission, since: since, handler)
  }

  private func note(
    _ method: HTTPRequest.Method, _ path: RouterPath, _ permission: Permission, since: Microversion?,
    action: String? = nil
  ) {
    list.note(
      RegisteredRoute(
        method: method, prefixes: prefixes, path: path.plain, permission: permission, since: since, action: action))
  }

  private func handle(
    _ method: HTTPRequest.Method, _ path: RouterPath, needs permission: Permission, since: Microversion?,
    _ handler: @escaping @Sendable (Call) async throws -> Response
  ) {
    let (api, versions) = (api, versions)
    for group in groups {
      group.on(path, method: method) { request, context -> Response in
        var response: Response
        var version = versions?.least ?? Microversion(1, 0)
        do {
          if let versions { version = try Self.version(of: request, versions) }
          let caller = try await Self.caller(of: request, context, api)
          context.identity.caller = caller
          try caller.require(permission, for: "This")
          if let since, version < since { throw APIError.noSuchRoute }
          response = try await handler(
            Call(
              api: api, request: request, context: context, caller: caller, version: version,
              query: Query(request.uri.query)))
        } catch {
          response = .failure(RequestGate.apiError(error, logger: context.logger))
        }
        if let versions { Self.mark(&response, version, versions) }
        return response
      }
    }
  }

  private static func caller(of request: Request, _ context: APIContext, _ api: CoordinatorAPI) async throws -> Caller {
    var project: String?
    if let text = context.parameters.get("project_id") {
      guard let decoded = text.removingPercentEncoding else { throw APIError.noSuchRoute }
      project = decoded
    }
    return try await api.authenticator.caller(
      token: request.headers[.authToken], serviceToken: request.headers[.serviceToken], projectInURL: project,
      projectHeader: request.headers[.projectID], in: api.store.tables, at: api.surroundings.now())
  }

  private static func version(of request: Request, _ versions: APIVersions) throws(APIError) -> Microversion {
    let headers = request.headers[values: .apiVersion]
    if headers.isEmpty, versions.service == "compute", let legacy = request.headers[.novaAPIVersion] {
      return try versions.served(legacy)
    }
    return try versions.requested(headers)
  }

  private static func mark(_ response: inout Response, _ version: Microversion, _ versions: APIVersions) {
    response.headers[.apiVersion] = "\(versions.service) \(version)"
    if versions.service == "compute" {
      response.headers[.novaAPIVersion] = "\(version)"
      response.headers[.vary] = "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    } else {
      response.headers[.vary] = "OpenStack-API-Version"
    }
  }
}
