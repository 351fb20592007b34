import Foundation
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct SecretFileTests {
  private func withFile(_ content: String, mode: Int, _ body: (String) throws -> Void) async throws {
    try await withTemporaryFolder { folder in
      let path = folder + "/secret"
      try Data(content.utf8).write(to: URL(fileURLWithPath: path))
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
      try body(path)
    }
  }

  @Test(arguments: [0o644, 0o640, 0o604, 0o620, 0o602, 0o610])
  func aFileThatOthersMayTouchIsRefused(mode: Int) async throws {
    try await withFile("0123456789abcdef\n", mode: mode) { (path) throws in
      let error = #expect(throws: StorageError.self) { try SecretFile.secret(in: path, calledBy: "join_token_file") }
      #expect(error?.field == "join_token_file")
      #expect(error?.message.contains("chmod 600") == true)
    }
  }

  @Test func aPrivateFileIsReadWithoutItsLineBreak() async throws {
    try await withFile("0123456789abcdef\n", mode: 0o600) { (path) throws in
      #expect(try SecretFile.secret(in: path, calledBy: "join_token_file") == "0123456789abcdef")
    }
  }

  @Test func aMissingFileAndAFolderAreNamed() async throws {
    try await withTemporaryFolder { folder in
      for path in [folder + "/none", folder] {
        let error = #expect(throws: StorageError.self) { try SecretFile.read(path, calledBy: "tokens_file") }
        #expect(error?.message.contains(path) == true)
      }
    }
  }

  @Test func secretsAreEqualOnlyWhenTheyAre() {
    #expect(SecretFile.areEqual("abc", "abc"))
    #expect(!SecretFile.areEqual("abc", "abd"))
    #expect(!SecretFile.areEqual("abc", "abcabc"))
    #expect(!SecretFile.areEqual("abc", ""))
    #expect(!SecretFile.areEqual("", "abc"))
  }

  @Test func tokensComeInYAMLAndJSON() throws {
    let yaml = try TokenFile.parse(
      """
      - token: aaaaaaaaaaaaaaaa
        project: demo
        user: alice
        roles: [reader, member]
      """)
    let json = try TokenFile.parse(
      #"[{"token": "aaaaaaaaaaaaaaaa", "project": "demo", "user": "alice", "roles": ["member"]}]"#)
    #expect(yaml == json)
    #expect(yaml == [TokenFile.Entry(token: "aaaaaaaaaaaaaaaa", project: "demo", user: "alice", role: .member)])
  }

  @Test(arguments: [
    ("{}", "tokens_file"), ("- {token: short, project: p, roles: [admin]}", "token"),
    ("- {token: aaaaaaaaaaaaaaaa, roles: [admin]}", "project"),
    ("- {token: aaaaaaaaaaaaaaaa, project: p}", "roles"),
    ("- {token: aaaaaaaaaaaaaaaa, project: p, roles: [boss]}", "boss"),
    ("- {token: aaaaaaaaaaaaaaaa, project: p, roles: [admin], x: 1}", "x"), ("- [", "tokens_file"),
    (
      "- {token: aaaaaaaaaaaaaaaa, project: p, roles: [admin]}\n- {token: aaaaaaaaaaaaaaaa, project: q, roles: [admin]}",
      "[1]"
    ),
  ])
  func aWrongEntryIsNamed(text: String, part: String) {
    let error = #expect(throws: StorageError.self) { try TokenFile.parse(text) }
    #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
  }
}
