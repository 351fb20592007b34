import ArgumentParser
import PumiceIdentity
import PumiceModel

struct UserAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a user.",
    discussion: """
      The password is asked for, or read from standard input or a file. A project is there as soon as somebody is in it.

      EXAMPLES
        pumice user add alice --project demo --role member
        head -c 24 /dev/urandom | base64 | tee secret | pumice user add ci --project demo --role member
      """)

  @Argument(help: "The name.")
  var name: String

  @Option(help: "The project to be in; more can be added with `pumice user set`.")
  var project: String

  @Option(help: "What to do there: reader, member or admin.")
  var role = Role.member

  @OptionGroup var secret: SecretInput
  @OptionGroup var file: UserFileOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let hash = try secret.hash()
    let user = try file.edit { file throws(StorageError) in
      guard file.user(named: name) == nil else {
        throw StorageError(.conflict, "There is a user '\(name)' already. Change it with: pumice user set \(name)")
      }
      let user = User(id: UserFile.newID(), name: name, password: hash, roles: [project: role])
      file.users.append(user)
      return user
    }
    output.confirm("User \(name) is \(role.rawValue) in project \(project).", UserResource(user))
  }
}
