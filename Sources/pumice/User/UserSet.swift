import ArgumentParser
import PumiceIdentity
import PumiceModel

struct UserSet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Change a user: roles, password, whether it may get in.",
    discussion: """
      EXAMPLES
        pumice user set alice --project ops --role reader
        pumice user set alice --leave demo
        pumice user set alice --password < new-password
        pumice user set alice --disable
      """)

  @Argument(help: "The name.")
  var name: String

  @Option(help: "The project in which --role is meant.")
  var project: String?

  @Option(help: "What to do in --project: reader, member or admin.")
  var role: Role?

  @Option(help: "A project to have no role in any more.")
  var leave: String?

  @Flag(help: "Take another password; its tokens are worth nothing then.")
  var password = false

  @Flag(help: "Let the user in again.")
  var enable = false

  @Flag(help: "Let the user in no more.")
  var disable = false

  @OptionGroup var secret: SecretInput
  @OptionGroup var file: UserFileOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if (project == nil) != (role == nil) { throw ValidationError("--project and --role go together.") }
    if enable && disable { throw ValidationError("--enable and --disable exclude each other.") }
    if project == nil, leave == nil, !password, secret.passwordFile == nil, !enable, !disable {
      throw ValidationError("Say what to change, such as --project demo --role member.")
    }
  }

  func run() async throws {
    let hash = password || secret.passwordFile != nil ? try secret.hash() : nil
    let user = try file.edit { file throws(StorageError) in
      try file.change(name) { user throws(StorageError) in
        if let project, let role { user.roles[project] = role }
        if let leave {
          guard user.roles.removeValue(forKey: leave) != nil else {
            throw StorageError(.notFound, "User '\(name)' has no role in project \(leave).")
          }
        }
        if let hash { user.password = hash }
        if enable { user.enabled = nil }
        if disable { user.enabled = false }
        return user
      }
    }
    output.confirm("User \(name) is changed.", UserResource(user))
  }
}
