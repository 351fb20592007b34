import Foundation
import PumiceIdentity
import PumiceModel
import PumiceWire

/// Finds out who makes a request.
struct Authenticator: Sendable {
  enum Mode: Sendable {
    /// Everybody is admin. Only for a coordinator that nobody else can reach.
    case none
    case tokens([TokenFile.Entry])
    /// Tokens that this coordinator has given out.
    case builtin(TokenOffice)
    /// Tokens that a Keystone has given out.
    case keystone(KeystoneGate)

    /// The projects that there are; `nil` where any may be.
    fileprivate var projects: Set<ProjectID>? {
      switch self {
      case .none, .keystone: nil
      case .tokens(let entries): Set(entries.map(\.project))
      case .builtin(let office): office.users.projects
      }
    }
  }

  static let defaultProject: ProjectID = "admin"

  let mode: Mode

  /// The caller, acting for the project that the URL or, without one there, `X-Project-Id` names.
  ///
  /// As in Cinder, a project in the URL that is not the caller's is a malformed request; services and admins may act for any that exists.
  ///
  /// - Parameter serviceToken: Another service's own, by which it vouches for the request: the caller's token is then good for
  ///   `Token.vouchedTime` beyond its end. One that is worth less than the role `service` is refused, and so is the request, as
  ///   keystonemiddleware does with `service_token_roles_required`. It gives the caller nothing else.
  func caller(
    token: String?, serviceToken: String? = nil, projectInURL: ProjectID?, projectHeader: ProjectID?,
    in tables: Tables, at now: Timestamp
  ) async throws -> Caller {
    switch mode {
    case .none:
      return Caller(
        project: try checked(projectInURL ?? projectHeader ?? Self.defaultProject), user: "admin", role: .admin)
    case .tokens(let entries):
      guard let token, let entry = Self.entry(of: token, in: entries) else { throw Self.refusal(of: token) }
      return try caller(
        Caller(project: entry.project, user: entry.user, role: entry.role), for: projectInURL, projectHeader)
    case .builtin(let office):
      guard let token else { throw Self.refusal(of: nil) }
      if let serviceToken {
        try await Self.requireService { () throws(StorageError) in
          try office.bearer(of: serviceToken, in: tables, at: now).role
        }
      }
      let bearer = try office.bearer(of: token, isVouchedFor: serviceToken != nil, in: tables, at: now)
      guard let project = bearer.token.project, let role = bearer.role else { throw Self.noProject }
      return try caller(Caller(project: project, user: bearer.user.name, role: role), for: projectInURL, projectHeader)
    case .keystone(let gate):
      guard let token else { throw Self.refusal(of: nil) }
      if let serviceToken {
        try await Self.requireService { () async throws(StorageError) in try await gate.token(serviceToken).role }
      }
      let known = try await gate.token(token, isVouchedFor: serviceToken != nil)
      guard let project = known.project else { throw Self.noProject }
      guard let role = known.role else {
        throw StorageError(.forbidden, "The token gives none of the roles \(Caller.Role.names) in its project.")
      }
      return try caller(Caller(project: project, user: known.user, role: role), for: projectInURL, projectHeader)
    }
  }

  /// The same caller, acting for another project where it may.
  private func caller(_ known: Caller, for projectInURL: ProjectID?, _ projectHeader: ProjectID?) throws -> Caller {
    guard let project = projectInURL ?? (known.scope == nil ? projectHeader : nil), project != known.project else {
      return known
    }
    guard known.scope == nil else {
      throw APIError.invalid("Malformed request URL: project '\(project)' is not yours.")
    }
    try requireProject(project)
    var caller = known
    caller.project = project
    return caller
  }

  /// Throws `unauthenticated` unless the token that gives this role gives that of a service, or more.
  private static func requireService(_ role: () async throws(StorageError) -> Role?) async throws(StorageError) {
    let refusal = StorageError(
      .unauthenticated, "The token in X-Service-Token must be a valid one of the role service or admin.")
    let found: Role?
    do throws(StorageError) { found = try await role() } catch {
      throw error.code == .unauthenticated ? refusal : error
    }
    guard let found, found >= .service else { throw refusal }
  }

  private static let noProject = StorageError(.forbidden, "The token is for no project; ask for one that is.")

  private static func refusal(of token: String?) -> StorageError {
    StorageError(
      .unauthenticated,
      "The request needs a valid token in X-Auth-Token\(token == nil ? "." : "; this one is unknown.")")
  }

  /// Throws where a project can't be: one that nobody can get in for, or with a wrong form.
  func requireProject(_ project: ProjectID) throws(StorageError) {
    _ = try checked(project)
    guard let projects = mode.projects, !projects.contains(project) else { return }
    throw StorageError(.notFound, "Project '\(project)' could not be found: nobody is in it.", field: "project")
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
