import ArgumentParser
import PumiceIdentity
import PumiceModel

struct UserList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List the users and what they may do.")

  @OptionGroup var file: UserFileOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let users = try file.read().users.sorted { $0.name < $1.name }.map { UserResource($0) }
    output.print(users, none: "No users.", [.init("ID"), .init("NAME"), .init("ENABLED"), .init("ROLES")]) {
      [$0.id, $0.name, $0.json["enabled"].text, $0.roles]
    }
  }
}

struct UserDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete a user, with its application credentials.",
    discussion: "What its projects have stays. A name that nobody has is an error.")

  @Argument(help: "The name.")
  var name: String

  @OptionGroup var file: UserFileOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let user = try file.edit { file throws(StorageError) in
      let user = try file.change(name) { user throws(StorageError) in user }
      file.users.removeAll { $0.id == user.id }
      return user
    }
    output.confirm("User \(name) is deleted.", UserResource(user))
  }
}
