public import PumiceModel

/// Somebody who shows a password, or an application credential, and gets tokens for it.
public struct User: Sendable, Equatable, Codable {
  /// 32 hexadecimal digits, as Keystone's are. Never another's, even when the name is given anew.
  public let id: String
  public var name: String
  public var password: PasswordHash
  /// What the user may do in each project, by the project's name, which is also its id.
  public var roles: [ProjectID: Role]
  /// `nil` is `true`.
  public var enabled: Bool?
  public var credentials: [ApplicationCredential]?

  public init(id: String, name: String, password: PasswordHash, roles: [ProjectID: Role]) {
    self.id = id
    self.name = name
    self.password = password
    self.roles = roles
  }

  public var isEnabled: Bool { enabled != false }
}

/// A secret for a program: it stands for its user in one project, with no more than this role, and never shows the password.
public struct ApplicationCredential: Sendable, Equatable, Codable {
  public let id: String
  public var name: String
  public var secret: PasswordHash
  public var project: ProjectID
  public var role: Role
  /// `nil` is never.
  public var expires: Timestamp?

  public init(
    id: String, name: String, secret: PasswordHash, project: ProjectID, role: Role, expires: Timestamp? = nil
  ) {
    self.id = id
    self.name = name
    self.secret = secret
    self.project = project
    self.role = role
    self.expires = expires
  }
}
