import HTTPTypes
import PumiceModel

/// A route, or one action of a route, as it was registered.
struct RegisteredRoute: Sendable, Equatable {
  let method: HTTPRequest.Method
  /// Each of these, with the path behind it, is a way to reach it: `v3`, `v3/{project_id}`.
  let prefixes: [String]
  /// Such as `volumes/{id}`.
  let path: String
  let permission: Permission
  /// The microversion that brought it.
  let since: Microversion?
  /// The one member of the body that asks for it, where the route's path does not say it all: `os-extend`.
  let action: String?

  /// Such as `POST v3/volumes/{id}/action os-extend`.
  var name: String { "\(method.rawValue) \(prefixes[0])/\(path)" + (action.map { " \($0)" } ?? "") }
}

/// The routes of all façades, noted down as they are registered: what the policy and the description of the API are held
/// against.
final class RouteList {
  private(set) var routes: [RegisteredRoute] = []

  func note(_ route: RegisteredRoute) { routes.append(route) }
}
