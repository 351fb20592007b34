import Foundation
import Testing

/// What the suites in a node build on.
///
/// The suites of this target run in nodes of the lab only; `make lab` and `make test` have them run there.
@Suite struct KernelTests {
  @Test(arguments: ["dm-mod", "dm-thin-pool", "dm-snapshot", "target_core_mod", "iscsi_target_mod", "iscsi_tcp"])
  func moduleIsLoaded(_ module: String) {
    let folder = "/sys/module/" + module.replacing("-", with: "_")
    #expect(FileManager.default.fileExists(atPath: folder))
  }

  @Test func configfsMakesTargets() throws {
    let target = "/sys/kernel/config/target/iscsi"
    try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
    #expect(FileManager.default.fileExists(atPath: target + "/discovery_auth"))
    #expect(rmdir(target) == 0)
  }

  @Test func deviceMapperAnswers() throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/sbin/dmsetup")
    process.arguments = ["targets"]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(output.contains("thin-pool"))
  }

  @Test(arguments: ["/dev/ubdb", "/dev/ubdc", "/dev/ubdd"])
  func thereIsAnEmptyDisk(_ disk: String) throws {
    let handle = try #require(FileHandle(forReadingAtPath: disk))
    #expect(try handle.seekToEnd() == 4 << 30)
  }
}
