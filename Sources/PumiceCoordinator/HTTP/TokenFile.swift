import PumiceModel
import PumiceWire
import Yams

/// The static tokens of `auth: token`: a list, in YAML or JSON, of `{token, project, user, roles}`.
struct TokenFile: Sendable {
  struct Entry: Sendable, Equatable {
    let token: String
    let project: ProjectID
    let user: String
    let role: Caller.Role
  }

  /// Reads the file, which only its owner may read. An entry that is wrong is an error that says which.
  static func read(_ path: String) throws(StorageError) -> [Entry] {
    try parse(String(decoding: try SecretFile.read(path, calledBy: "tokens_file"), as: UTF8.self))
  }

  static func parse(_ text: String) throws(StorageError) -> [Entry] {
    let document: Any?
    do { document = try Yams.load(yaml: text) } catch { throw .invalid("tokens_file", "is neither YAML nor JSON.") }
    guard let list = document as? [Any], !list.isEmpty else {
      throw .invalid("tokens_file", "must be a list of tokens.")
    }
    var entries: [Entry] = []
    for (index, element) in list.enumerated() {
      let entry = try entry(element, at: "tokens_file[\(index)]")
      guard !entries.contains(where: { $0.token == entry.token }) else {
        throw .invalid("tokens_file[\(index)].token", "is the same as one before it.")
      }
      entries.append(entry)
    }
    return entries
  }

  private static func entry(_ element: Any, at path: String) throws(StorageError) -> Entry {
    guard let fields = element as? [String: Any] else {
      throw .invalid(path, "must have token, project, user and roles.")
    }
    for key in fields.keys where !["token", "project", "user", "roles"].contains(key) {
      throw .invalid("\(path).\(key)", "is not known.")
    }
    guard let token = fields["token"] as? String, token.utf8.count >= SecretFile.leastTokenLength else {
      throw .invalid("\(path).token", "must be a text of at least 16 characters.")
    }
    guard let project = fields["project"] as? String, !project.isEmpty, project.unicodeScalars.count <= 255 else {
      throw .invalid("\(path).project", "must be a text of 1 to 255 characters.")
    }
    let names = fields["roles"] as? [String] ?? (fields["roles"] as? String).map { [$0] } ?? []
    var roles: [Caller.Role] = []
    for name in names {
      guard let role = Caller.Role(rawValue: name) else {
        throw .invalid("\(path).roles", "must be of \(Caller.Role.names), not '\(name)'.")
      }
      roles.append(role)
    }
    guard let role = roles.max() else {
      throw .invalid("\(path).roles", "must name at least one of \(Caller.Role.names).")
    }
    return Entry(token: token, project: project, user: fields["user"] as? String ?? project, role: role)
  }
}
