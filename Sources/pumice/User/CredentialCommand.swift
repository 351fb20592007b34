import ArgumentParser
import Foundation
import PumiceIdentity
import PumiceModel

struct CredentialCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "credential", abstract: "Manage a user's application credentials: secrets for programs.",
    subcommands: [CredentialAdd.self, CredentialDelete.self])
}

struct CredentialAdd: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Make an application credential, and print its secret: this once.",
    discussion: """
      A program shows id and secret in place of the user's name and password, and is in one project, with no more than the \
      role given here. It never has more than its user has.

      EXAMPLES
        pumice user credential add alice backup --project demo
        pumice user credential add alice monitoring --project demo --role reader --days 90
      """)

  @Argument(help: "The user's name.")
  var user: String

  @Argument(help: "The credential's name, one of its kind for the user.")
  var name: String

  @Option(help: "The project it is for.")
  var project: String

  @Option(help: "What it may do there; what the user may without this.")
  var role: Role?

  @Option(help: "In how many days it ends; never without this.")
  var days: Int?

  @OptionGroup var file: UserFileOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let days, !(1...36_500).contains(days) { throw ValidationError("--days must be from 1 to 36500.") }
  }

  func run() async throws {
    let secret = UserFile.newID() + UserFile.newID()
    let expires = days.map { days in
      Timestamp(milliseconds: Int64(Date.now.timeIntervalSince1970 * 1000) + Int64(days) * 86_400_000)
    }
    let credential = try file.edit { file throws(StorageError) in
      try file.change(user) { user throws(StorageError) in
        guard let most = user.roles[project] else {
          throw StorageError(.notFound, "User '\(user.name)' has no role in project \(project).")
        }
        guard user.credentials?.contains(where: { $0.name == name }) != true else {
          throw StorageError(.conflict, "User '\(user.name)' has an application credential '\(name)' already.")
        }
        let credential = ApplicationCredential(
          id: UserFile.newID(), name: name, secret: try PasswordHash(of: secret), project: project,
          role: min(role ?? most, most), expires: expires)
        user.credentials = (user.credentials ?? []) + [credential]
        return credential
      }
    }
    let resource = NewCredential(credential, secret: secret)
    output.print(resource) { ["id", "secret", "project", "role"].map { (name: $0, value: resource.json[$0].text) } }
  }
}

private struct NewCredential: NamedResource {
  let json: JSONValue

  init(_ credential: ApplicationCredential, secret: String) {
    json = .object([
      "id": .string(credential.id), "secret": .string(secret), "project": .string(credential.project),
      "role": .string(credential.role.rawValue),
    ])
  }
}

struct CredentialDelete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete an application credential; its tokens are worth nothing then.")

  @Argument(help: "The user's name.")
  var user: String

  @Argument(help: "The credential's name.")
  var name: String

  @OptionGroup var file: UserFileOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let credential = try file.edit { file throws(StorageError) in
      try file.change(user) { user throws(StorageError) in
        guard let credential = user.credentials?.first(where: { $0.name == name }) else {
          throw StorageError(.notFound, "User '\(user.name)' has no application credential '\(name)'.")
        }
        user.credentials?.removeAll { $0.id == credential.id }
        if user.credentials?.isEmpty == true { user.credentials = nil }
        return credential
      }
    }
    output.confirm("Application credential \(name) of user \(user) is deleted.", id: credential.id)
  }
}
