import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct TokenFileTests {
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
