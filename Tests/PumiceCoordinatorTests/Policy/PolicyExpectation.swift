import HTTPTypes
import PumiceModel

/// What a route, or an action of one, must ask for, and what it answers to those who have it.
struct PolicyExpectation: Sendable {
  /// As `RegisteredRoute.name` has it.
  let route: String
  let least: Role
  let query: String
  let body: String?
  let status: Int
  /// Whether it is about something that a project has: to readers and members of other projects it is not there.
  let isOfProject: Bool

  init(_ route: String, _ least: Role, _ status: Int, query: String = "", body: String? = nil) {
    self.init(route, least, status, query: query, body: body, isOfProject: false)
  }

  static func own(_ route: String, _ least: Role, _ status: Int, query: String = "", body: String? = nil) -> Self {
    Self(route, least, status, query: query, body: body, isOfProject: true)
  }

  private init(_ route: String, _ least: Role, _ status: Int, query: String, body: String?, isOfProject: Bool) {
    self.route = route
    self.least = least
    self.query = query
    self.body = body
    self.status = status
    self.isOfProject = isOfProject
  }

  /// What a caller with this role gets for something of its own project, or of another one.
  func status(for role: Role, ofAnotherProject: Bool) -> Int {
    if role < least { return 403 }
    if ofAnotherProject, isOfProject, role < .service { return 404 }
    return status
  }
}
