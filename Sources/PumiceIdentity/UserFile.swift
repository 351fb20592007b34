import Foundation
public import PumiceModel
import PumiceWire

/// The users of a coordinator with `auth: builtin`: one JSON file, mode 0600, which `pumice user` changes as a whole.
public struct UserFile: Sendable, Equatable, Codable {
  public var users: [User]

  public init(users: [User] = []) { self.users = users }

  /// Reads the file, which only its owner may read. A user that is wrong is an error that says which.
  ///
  /// - Throws: also `missingPart` when there is none.
  public static func read(_ path: String) throws(StorageError) -> UserFile {
    try parse(try SecretFile.read(path, calledBy: "users_file"))
  }

  public static func parse(_ bytes: [UInt8]) throws(StorageError) -> UserFile {
    let file: UserFile
    do {
      file = try JSONDecoder().decode(UserFile.self, from: Data(bytes))
    } catch let error as StorageError {
      throw error
    } catch {
      // Never what is in it.
      throw .invalid("users_file", "is not the JSON that `pumice user` writes.")
    }
    try file.check()
    return file
  }

  private func check() throws(StorageError) {
    var (names, ids): (Set<String>, Set<String>) = ([], [])
    for user in users {
      guard names.insert(user.name).inserted, ids.insert(user.id).inserted else {
        throw .invalid("users_file", "has user '\(user.name)' twice.")
      }
      for name in [user.name] + user.roles.keys.sorted() { try Self.checkName(name) }
      for credential in user.credentials ?? [] {
        guard ids.insert(credential.id).inserted else {
          throw .invalid("users_file", "has application credential \(credential.id) twice.")
        }
      }
    }
  }

  /// Names of users and projects stand in URLs and logs.
  public static func checkName(_ name: String) throws(StorageError) {
    guard (1...255).contains(name.unicodeScalars.count), name.unicodeScalars.allSatisfy(isPlain), !name.contains("/")
    else {
      throw .invalid("name", "must be a text of 1 to 255 characters without spaces, slashes and control characters.")
    }
  }

  /// Not what would break a line, or turn it round (bidirectional formatting).
  private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .format: false
    default: scalar.value > 0x20
    }
  }

  /// Changes the file as a whole, one at a time; without one, an empty one is changed.
  public static func edit<Result>(
    _ path: String, _ change: (inout UserFile) throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    try SecretFile.exclusively(path) { () throws(StorageError) in
      var file: UserFile
      do throws(StorageError) {
        file = try read(path)
      } catch {
        guard error.code == .missingPart else { throw error }
        file = UserFile()
      }
      let before = file
      let result = try change(&file)
      try file.check()
      if file != before { try SecretFile.write(try WireJSON.text(file), to: path) }
      return result
    }
  }
}

extension UserFile {
  /// Every project in which somebody has a role: there are no others.
  public var projects: Set<ProjectID> { Set(users.flatMap(\.roles.keys)) }

  public func user(named name: String) -> User? { users.first { $0.name == name } }
  public func user(_ id: String) -> User? { users.first { $0.id == id } }

  /// A new id for a user or a credential.
  public static func newID() -> String { UUID().uuidString.lowercased().filter { $0 != "-" } }
}
