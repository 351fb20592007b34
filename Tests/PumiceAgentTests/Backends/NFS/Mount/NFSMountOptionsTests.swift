import PumiceModel
import Testing

@testable import PumiceAgent

struct NFSMountOptionsTests {
  @Test func versionsAreTriedFromTheNewestOn() throws {
    let options = try NFSMountOptions("nconnect=4,soft")
    #expect(options.versions == ["4.2", "4.1", "3"])
    #expect(options.argument(version: "4.1") == "vers=4.1,retry=0,nosuid,nodev,noexec,nconnect=4,soft")
    #expect(try NFSMountOptions() == NFSMountOptions(""))
  }

  @Test(arguments: ["vers=3", "nfsvers=4.1", "hard,vers=4,minorversion=1", "v4.2", "v3"])
  func theOperatorsVersionIsTheOnlyOne(_ text: String) throws {
    let options = try NFSMountOptions(text)
    #expect(options.versions == [nil])
    #expect(options.argument(version: nil) == "retry=0,nosuid,nodev,noexec,\(text)")
  }

  @Test(arguments: ["bg", "hard,ro", "remount", "bind", "a b", "a\nb", "a\"b", "a\\b", "ä", "\u{7f}"])
  func whatWouldMeanSomethingElseIsRefused(_ text: String) {
    let error = #expect(throws: StorageError.self) { try NFSMountOptions(text) }
    #expect(error?.code == .invalid && error?.field == "mount_options")
  }
}
