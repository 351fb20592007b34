import Foundation
import PumiceModel
import SystemPackage
import TestBed
import Testing

@testable import PumiceAgent

struct CommandRunnerTests {
  @Test func givesWhatTheCommandSaidAndHowItEnded() async throws {
    let outcome = try await CommandRunner().run(
      "sh", ["-c", "echo \"$1\" $LC_ALL $EXTRA; echo oops >&2; exit 3", "sh", "a b; $HOME"], environment: ["EXTRA": "e"]
    )
    #expect(outcome.exitCode == 3)
    #expect(!outcome.succeeded)
    #expect(outcome.standardOutput == "a b; $HOME C e\n")
    #expect(outcome.standardError == "oops\n")
    let killed = try await CommandRunner().run("sh", ["-c", "kill -9 $$"])
    #expect(killed.exitCode == nil)
  }

  @Test func aMissingCommandIsAMissingPart() async {
    let error = await #expect(throws: StorageError.self) { try await CommandRunner().run("no-such-command", []) }
    #expect(error?.code == .missingPart)
    #expect(error?.message.contains("no-such-command") == true)
  }

  @Test func aCommandThatTakesTooLongIsKilledWithItsChildren() async throws {
    let mark = "77\(UInt16.random(in: 1000...9999)).5"
    let start = ContinuousClock.now
    let error = await #expect(throws: StorageError.self) {
      try await CommandRunner(deadline: .milliseconds(300)).run("sh", ["-c", "sleep \(mark) & sleep \(mark)"])
    }
    #expect(error?.code == .timeout)
    #expect(ContinuousClock.now - start < .seconds(120))
    try await eventually("no sleeper is left") { try sleepers(mark).isEmpty }
  }

  @Test func cancellationKillsTheCommandAndThrows() async throws {
    let mark = "78\(UInt16.random(in: 1000...9999)).5"
    let task = Task { try await CommandRunner().run("sleep", [mark]) }
    try await eventually("the command runs") { try !sleepers(mark).isEmpty }
    task.cancel()
    let error = await #expect(throws: StorageError.self) { try await task.value }
    #expect(error?.code == .unavailable)
    try await eventually("no sleeper is left") { try sleepers(mark).isEmpty }
  }

  @Test func tooMuchOutputIsAnError() async throws {
    let error = await #expect(throws: StorageError.self) {
      try await CommandRunner(outputLimit: 1000).run("head", ["-c", "100000", "/dev/zero"])
    }
    #expect(error?.code == .failed)
  }

  /// Processes that have this word among their arguments.
  private func sleepers(_ mark: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { entry in
      guard entry.allSatisfy(\.isNumber), let line = FileManager.default.contents(atPath: "/proc/\(entry)/cmdline")
      else {
        return false
      }
      return String(decoding: line, as: UTF8.self).split(separator: "\0").contains { $0 == mark }
    }
  }
}
