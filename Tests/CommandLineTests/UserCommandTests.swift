import Foundation
import PumiceIdentity
import PumiceModel
import Testing

@testable import pumice

@Suite struct UserCommandTests {
  private func run(_ arguments: [String]) async -> CommandRun {
    await CommandRun.pumice(arguments)
  }

  private func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("users-\(UserFile.newID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try "a good password\nanother line\n".write(toFile: "\(folder)/password", atomically: true, encoding: .utf8)
    try await body(folder)
  }

  @Test func aUserIsAddedChangedListedAndDeleted() async throws {
    try await withFolder { folder in
      let file = ["--file", "\(folder)/users.json"]
      let password = ["--password-file", "\(folder)/password"]
      let added = await run(["user", "add", "alice", "--project", "demo"] + password + file)
      #expect(added.status == .ok && added.output == "User alice is member in project demo.")
      let stored = try UserFile.read("\(folder)/users.json")
      #expect(stored.user(named: "alice")?.password.fits("a good password") == true)

      let again = await run(["user", "add", "alice", "--project", "demo"] + password + file)
      #expect(again.status != .ok && again.errors.contains("pumice user set alice"))
      #expect(await run(["user", "set", "alice", "--project", "ops", "--role", "reader"] + file).status == .ok)
      #expect(await run(["user", "set", "alice", "--disable"] + file).status == .ok)
      let listed = await run(["user", "list"] + file)
      #expect(listed.output.contains("alice  no       demo: member, ops: reader"), "\(listed.output)")
      let json = await run(["user", "list", "--json"] + file)
      #expect(!json.output.contains("scrypt"), "No hash leaves the file.")

      #expect(await run(["user", "set", "bob", "--disable"] + file).status == .notFound)
      #expect(await run(["user", "delete", "alice"] + file).status == .ok)
      #expect(try UserFile.read("\(folder)/users.json").users.isEmpty)
      #expect(await run(["user", "delete", "alice"] + file).status == .notFound)
    }
  }

  @Test func aCredentialsSecretIsPrintedOnce() async throws {
    try await withFolder { folder in
      let file = ["--file", "\(folder)/users.json"]
      _ = await run(
        ["user", "add", "alice", "--project", "demo", "--password-file", "\(folder)/password"] + file)
      let made = await run(
        ["user", "credential", "add", "alice", "ci", "--project", "demo", "--role", "admin", "--json"] + file)
      let json = try JSONDecoder().decode([String: String].self, from: Data(made.output.utf8))
      let credential = try #require(try UserFile.read("\(folder)/users.json").user(named: "alice")?.credentials?.first)
      #expect(credential.id == json["id"] && credential.secret.fits(json["secret"] ?? ""))
      #expect(credential.role == .member, "Never more than its user.")
      let elsewhere = await run(["user", "credential", "add", "alice", "x", "--project", "ops"] + file)
      #expect(elsewhere.status == .notFound)
      #expect(await run(["user", "credential", "delete", "alice", "ci"] + file).status == .ok)
      #expect(try UserFile.read("\(folder)/users.json").user(named: "alice")?.credentials == nil)
    }
  }

  @Test func aPasswordThatCanBeGuessedIsRefused() async throws {
    try await withFolder { folder in
      try "short\n".write(toFile: "\(folder)/password", atomically: true, encoding: .utf8)
      let refused = await run([
        "user", "add", "alice", "--project", "demo", "--password-file", "\(folder)/password", "--file",
        "\(folder)/users.json",
      ])
      #expect(refused.status == .usage && refused.errors.contains("at least 8"))
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/users.json"))
    }
  }
}
