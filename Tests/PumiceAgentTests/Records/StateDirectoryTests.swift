import Foundation
import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct StateDirectoryTests {
  private let folder = FileManager.default.temporaryDirectory.path + "/pumice-state-\(UUID().uuidString)"

  @Test func twoAgentsNeverShareOne() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var first: StateDirectory? = try StateDirectory(path: folder + "/a/b")
    let error = #expect(throws: StorageError.self) { _ = try StateDirectory(path: folder + "/a/b") }
    #expect(error?.code == .inUse)
    #expect(first != nil)
    first = nil
    _ = try StateDirectory(path: folder + "/a/b")
  }

  @Test func aFolderThatOthersCanWriteToIsRefused() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder)
    let error = #expect(throws: StorageError.self) { _ = try StateDirectory(path: folder) }
    #expect(error?.code == .forbidden)
  }

  @Test(arguments: [
    (0o644, "0123456789abcdef", StorageError.Code.forbidden), (0o640, "0123456789abcdef", .forbidden),
    (0o600, "short", .invalid), (0o600, "with spaces in the middle", .invalid),
  ])
  func tokenFilesMustBePrivateAndHoldAToken(mode: Int, content: String, code: StorageError.Code) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Data(content.utf8).write(to: URL(fileURLWithPath: folder))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder)
    let error = #expect(throws: StorageError.self) { try SecretFile.read(folder, key: "token_file") }
    #expect(error?.code == code)
    #expect(error?.field == "token_file")
    #expect(error?.message.contains(content) == false)
  }

  @Test func theTokenIsReadWithoutItsLineEnd() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Data("\n 0123456789abcdef\n".utf8).write(to: URL(fileURLWithPath: folder))
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder)
    #expect(try SecretFile.read(folder, key: "token_file") == "0123456789abcdef")
  }
}
