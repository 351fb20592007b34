import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import PumiceModel

/// The routes of one façade, under one or several prefixes.
///
/// Whatever a route does, before it come the caller, the microversion and the permission; its errors get the façade's form.
struct Routes {
  let api: CoordinatorAPI
  /// `nil` for an API without microversions.
  let versions: APIVersions?
  let groups: [RouterGroup<APIContext>]

  /// - Parameter since: The microversion that brought the route; before it there is none.
  func on(
    _ method: HTTPRequest.Method, _ path: RouterPath, needs permission: Permission, since: Microversion? = nil,
    _ handler: @escaping @Sendable (Call) async throws -> Response
  ) {
    let (api, versions) = (api, versions)
    for group in groups {
      group.on(path, method: method) { request, context -> Response in
        var response: Response
        var version = versions?.least ?? Microversion(1, 0)
        do {
          if let versions { version = try Self.version(of: request, versions) }
          let caller = try Self.caller(of: request, context, api)
          context.identity.caller = caller
          guard caller.role >= permission.leastRole else {
            throw StorageError(
              .forbidden, "This needs the role \(permission.leastRole.rawValue); yours is \(caller.role.rawValue).")
          }
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

  private static func caller(of request: Request, _ context: APIContext, _ api: CoordinatorAPI) throws -> Caller {
    var project: String?
    if let text = context.parameters.get("project_id") {
      guard let decoded = text.removingPercentEncoding else { throw APIError.noSuchRoute }
      project = decoded
    }
    return try api.authenticator.caller(
      token: request.headers[.authToken], projectInURL: project, projectHeader: request.headers[.projectID],
      in: api.store.tables, at: api.surroundings.now())
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
