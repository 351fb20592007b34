public import ArgumentParser
import PumiceIdentity
public import PumiceModel

struct UserCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "user", abstract: "Manage the users of a coordinator with auth: builtin.",
    discussion: """
      Works on the users' file of the coordinator, on its machine and as its owner. The coordinator sees a change with the \
      next request: tokens of a user who is deleted, disabled, or has another password are worth nothing from then on.

      Roles: reader sees what the project has, member also changes it, admin does everything in every project.

      EXAMPLES
        pumice user add alice --project demo --role member < password
        pumice user set alice --project ops --role reader
        pumice user credential add alice backup --project demo
      """,
    subcommands: [UserAdd.self, UserSet.self, UserList.self, UserDelete.self, CredentialCommand.self])
}

/// Which file, and how it is changed.
struct UserFileOptions: ParsableArguments {
  @Option(
    name: .customLong("file"),
    help: ArgumentHelp("The users' file: the coordinator's users_file.", valueName: "file"))
  var path = "/etc/pumice/users.json"

  func read() throws -> UserFile {
    do throws(StorageError) { return try UserFile.read(path) } catch { throw CommandFailure(error) }
  }

  func edit<Result>(_ change: (inout UserFile) throws(StorageError) -> Result) throws -> Result {
    do throws(StorageError) { return try UserFile.edit(path, change) } catch { throw CommandFailure(error) }
  }
}

extension UserFile {
  mutating func change<Result>(
    _ name: String, _ change: (inout User) throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    guard let index = users.firstIndex(where: { $0.name == name }) else {
      throw StorageError(.notFound, "User '\(name)' could not be found.")
    }
    return try change(&users[index])
  }
}

extension Role: ExpressibleByArgument {}

/// A user as a list shows it. Nothing of its secrets is in it.
struct UserResource: NamedResource {
  let json: JSONValue

  init(_ user: User) {
    json = .object([
      "id": .string(user.id), "name": .string(user.name), "enabled": .bool(user.isEnabled),
      "roles": .object(user.roles.mapValues { .string($0.rawValue) }),
      "application_credentials": .array(
        (user.credentials ?? []).map { credential in
          .object([
            "id": .string(credential.id), "name": .string(credential.name), "project": .string(credential.project),
            "role": .string(credential.role.rawValue),
            "expires": credential.expires.map { .integer($0.milliseconds / 1000) } ?? .null,
          ])
        }),
    ])
  }

  var roles: String {
    json["roles"].object.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.text)" }.joined(separator: ", ")
  }
}
