import Foundation
import PumiceModel
import PumiceWire
import Testing

struct SecretFileTests {
  /// What lies at `path` while `body` runs is removed afterwards.
  private func withFile(_ content: String, mode: Int = 0o600, _ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "secret-\(UUID())"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(content.utf8).write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    try body(path)
  }

  @Test(arguments: [0o644, 0o640, 0o604, 0o620, 0o602, 0o610])
  func aFileThatOthersMayTouchIsRefused(mode: Int) throws {
    try withFile("0123456789abcdef\n", mode: mode) { (path) throws in
      let error = #expect(throws: StorageError.self) { try SecretFile.read(path, calledBy: "token_file") }
      #expect(error?.code == .forbidden)
      #expect(error?.field == "token_file")
      #expect(error?.message.contains("chmod 0600 \(path)") == true)
    }
  }

  @Test func theTokenIsReadWithoutWhatStandsAroundIt() throws {
    try withFile("\n 0123456789abcdef\n") { (path) throws in
      #expect(try SecretFile.token(in: path, calledBy: "token_file") == "0123456789abcdef")
    }
  }

  /// Coordinator and agents read the same join token: what one takes the other must take.
  @Test(arguments: ["short", "with spaces in the middle", "", "naïve0123456789abcdef", "0123456789\u{0}abcdef"])
  func whatIsNoTokenIsRefusedWithoutShowingIt(content: String) throws {
    try withFile(content) { (path) throws in
      let error = #expect(throws: StorageError.self) { try SecretFile.token(in: path, calledBy: "token_file") }
      #expect(error?.code == .invalid)
      #expect(error?.field == "token_file")
      #expect(content.isEmpty || error?.message.contains(content) == false)
    }
  }

  @Test func aMissingFileAndAFolderAreNamed() {
    let none = NSTemporaryDirectory() + "no-such-file-\(UUID())"
    for (path, code) in [(none, StorageError.Code.missingPart), (NSTemporaryDirectory(), .invalid)] {
      let error = #expect(throws: StorageError.self) { try SecretFile.read(path, calledBy: "tokens_file") }
      #expect(error?.code == code)
      #expect(error?.message.contains(path) == true)
    }
  }

  @Test func aPipeIsNotWaitedFor() throws {
    let path = NSTemporaryDirectory() + "pipe-\(UUID())"
    try #require(mkfifo(path, 0o600) == 0)
    defer { unlink(path) }
    let error = #expect(throws: StorageError.self) { try SecretFile.read(path, calledBy: "token_file") }
    #expect(error?.code == .invalid)
  }
}
