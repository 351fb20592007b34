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
}
