import Foundation
import Glibc
import Logging
import PumiceModel
import Synchronization
import TestBed
import Testing

@testable import PumiceAgent

struct TGTDaemonTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test(.timeLimit(.minutes(2))) func tgtdIsStartedRestartedAdoptedAndLeftRunning() async throws {
    try await withSocket { socket, launch in
      let client = TGTClient(socketPath: socket)
      let seen = Mutex(0)
      let daemon = TGTDaemon(socketPath: socket, launch: launch, interval: .milliseconds(50), logger: logger) {
        seen.withLock { $0 += 1 }
      }
      let service = Task { try await daemon.run() }
      try await eventually("tgtd is started") { seen.withLock { $0 } == 1 }
      let first = try #require(client.incarnation())
      try expectHarmlessInput(of: first.processID)

      kill(first.processID, SIGKILL)
      try await eventually("another tgtd is started") { seen.withLock { $0 } == 2 }
      let second = try #require(client.incarnation())
      #expect(second != first)

      service.cancel()
      _ = await service.result
      #expect(client.incarnation() == second, "tgtd must outlive the agent")

      let adopted = Mutex(0)
      let successor = TGTDaemon(socketPath: socket, launch: nil, interval: .milliseconds(50), logger: logger) {
        adopted.withLock { $0 += 1 }
      }
      let isAlive = await successor.isAlive
      #expect(isAlive)
      let adoption = Task { try await successor.run() }
      try await eventually("the running tgtd is adopted") { adopted.withLock { $0 } == 1 }
      #expect(client.incarnation() == second)
      adoption.cancel()
      _ = await adoption.result
    }
  }

  @Test func aTgtdThatIsNotInstalledIsAMissingPart() async throws {
    try await withSocket { socket, launch in
      var launch = launch
      launch.executable = "no-such-tgtd"
      let daemon = TGTDaemon(socketPath: socket, launch: launch, logger: logger) {}
      let error = await #expect(throws: StorageError.self) { try await daemon.start() }
      #expect(error?.code == .missingPart)
    }
  }

  /// What tgtd's threads may write to for an instant must refuse it.
  private func expectHarmlessInput(of process: pid_t) throws {
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/0") == "/dev/null")
    let info = try String(contentsOfFile: "/proc/\(process)/fdinfo/0", encoding: .utf8)
    let flags = try #require(info.split(separator: "\n").first { $0.hasPrefix("flags:") }?.split(separator: "\t").last)
    #expect(Int32(flags, radix: 8).map { $0 & O_ACCMODE } == O_RDONLY)
  }

  private func withSocket(_ body: (String, TGTDaemon.Launch) async throws -> Void) async throws {
    let folder = try TemporaryFolder()
    // The folder of the socket is not there, as after a boot.
    let socket = folder.file("run/socket.3")
    defer {
      if let left = TGTClient(socketPath: socket).incarnation() { kill(left.processID, SIGKILL) }
      folder.remove()
    }
    let launch = TGTDaemon.Launch(portals: ["127.0.0.1:\(try freePort())"], log: folder.file("tgtd.log"))
    try await body(socket, launch)
  }
}
