import Foundation
import PumiceModel
import PumiceWire

/// Finds out who makes a request.
struct Authenticator: Sendable {
  enum Mode: Sendable {
    /// Everybody is admin. Only for a coordinator that nobody else can reach.
    case none
    case tokens([TokenFile.Entry])
  }

  static let defaultProject: ProjectID = "admin"

  let mode: Mode

  /// The caller, acting for the project that the URL or, without one there, `X-Project-Id` names.
  ///
  /// As in Cinder, a project in the URL that is not the caller's is a malformed request; admins may act for any that exists.
  func caller(token: String?, projectInURL: ProjectID?, projectHeader: ProjectID?) throws -> Caller {
    switch mode {
    case .none:
      return Caller(
        project: try checked(projectInURL ?? projectHeader ?? Self.defaultProject), user: "admin", role: .admin)
    case .tokens(let entries):
      guard let token, let entry = Self.entry(of: token, in: entries) else {
        throw StorageError(
          .unauthenticated,
          "The request needs a valid token in X-Auth-Token\(token == nil ? "." : "; this one is unknown.")")
      }
      var caller = Caller(project: entry.project, user: entry.user, role: entry.role)
      guard let project = projectInURL ?? (caller.role == .admin ? projectHeader : nil), project != caller.project
      else {
        return caller
      }
      guard caller.role == .admin else {
        throw APIError.invalid("Malformed request URL: project '\(project)' is not yours.")
      }
      guard entries.contains(where: { $0.project == project }) else {
        throw StorageError(
          .notFound, "Project '\(try checked(project))' could not be found: no token is for it.", field: "project")
      }
      caller.project = project
      return caller
    }
  }

  /// Throws where a project can't be: with tokens, those that no token is for; without, only those with a wrong form.
  func requireProject(_ project: ProjectID) throws(StorageError) {
    _ = try checked(project)
    if case .tokens(let entries) = mode, !entries.contains(where: { $0.project == project }) {
      throw StorageError(.notFound, "Project '\(project)' could not be found: no token is for it.", field: "project")
    }
  }

  private func checked(_ project: ProjectID) throws(StorageError) -> ProjectID {
    guard !project.isEmpty, project.unicodeScalars.count <= 255, !project.unicodeScalars.contains(where: \.isControl)
    else {
      throw .invalid("project", "must be a text of 1 to 255 characters without control characters.")
    }
    return project
  }

  /// Looks at every entry, whether or not one fits already, so that the time says nothing.
  private static func entry(of token: String, in entries: [TokenFile.Entry]) -> TokenFile.Entry? {
    var found: TokenFile.Entry?
    for entry in entries where BearerToken(entry.token).isEqual(to: token) { found = entry }
    return found
  }
}
