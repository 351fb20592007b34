import Foundation
import PumiceModel
import Testing

@testable import PumiceIdentity

@Suite struct UserFileTests {
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("users-\(UserFile.newID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  private func user(_ name: String) throws -> User {
    User(id: UserFile.newID(), name: name, password: try PasswordHash(of: "a password"), roles: ["demo": .member])
  }

  @Test func whatIsWrittenIsReadAndForItsOwnerOnly() throws {
    try withFolder { folder in
      let path = "\(folder)/users.json"
      let user = try user("alice")
      try UserFile.edit(path) { $0.users = [user] }
      #expect(try UserFile.read(path).users == [user])
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      #expect(attributes[.posixPermissions] as? Int == 0o600)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["users.json"])
      #expect(!String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self).contains("a password"))
    }
  }

  @Test func manyWhoEditAtOnceLoseNothing() async throws {
    let user = try user("u")
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("users-\(UserFile.newID())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = "\(folder)/users.json"
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<16 {
        group.addTask {
          try UserFile.edit(path) {
            $0.users.append(
              User(id: UserFile.newID(), name: "u\(number)", password: user.password, roles: user.roles))
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try Set(UserFile.read(path).users.map(\.name)) == Set((0..<16).map { "u\($0)" }))
  }

  @Test func aFailedEditChangesNothing() throws {
    try withFolder { folder in
      let path = "\(folder)/users.json"
      let user = try user("alice")
      try UserFile.edit(path) { $0.users = [user] }
      for names in [["alice"], ["a b"], ["a/b"], [""], ["a\u{85}b"], ["a\u{2028}b"], ["a\u{202E}b"]] {
        #expect(throws: StorageError.self) {
          try UserFile.edit(path) { file in
            for name in names {
              file.users.append(
                User(id: UserFile.newID(), name: name, password: user.password, roles: user.roles))
            }
          }
        }
      }
      #expect(try UserFile.read(path).users == [user])
    }
  }

  @Test(arguments: ["", "{", "[]", #"{"users": [{"name": "x"}]}"#, #"{"users": 7}"#])
  func whatIsNoUsersFileIsRefused(_ text: String) throws {
    let error = #expect(throws: StorageError.self) { try UserFile.parse(Array(text.utf8)) }
    #expect(error?.code == .invalid && error?.field == "users_file")
  }

  @Test func aFileThatOthersMayReadIsRefused() throws {
    try withFolder { folder in
      let path = "\(folder)/users.json"
      let user = try user("alice")
      try UserFile.edit(path) { $0.users = [user] }
      try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
      let error = #expect(throws: StorageError.self) { try UserFile.read(path) }
      #expect(error?.code == .forbidden)
    }
  }
}
