import Glibc
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

struct ReadinessTests {
  @Test(arguments: [false, true]) func systemdIsToldOnceAfterTheFirstPass(isAbstract: Bool) async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    let name = isAbstract ? "@pumice-\(VolumeID.random())" : folder.file("notify")
    let listener = try DatagramSocket(name)
    let readiness = Readiness(socket: name, logger: .silent)
    try await withThrowingTaskGroup { group in
      group.addTask { try await readiness.run() }
      #expect(listener.receive() == nil)
      readiness.passed()
      try await eventually { listener.receive() == "READY=1" }
      readiness.passed()
      try await Task.sleep(for: .milliseconds(50))
      #expect(listener.receive() == nil)
      group.cancelAll()
    }
  }

  @Test func withoutSystemdNobodyIsTold() async throws {
    let readiness = Readiness(socket: nil, logger: .silent)
    readiness.passed()
    try await withThrowingTaskGroup { group in
      group.addTask { try await readiness.run() }
      try await Task.sleep(for: .milliseconds(20))
      group.cancelAll()
      try await group.waitForAll()
    }
  }
}

private final class DatagramSocket: Sendable {
  private let descriptor: Int32

  init(_ name: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(name.utf8)
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(2 + bytes.count)
    let isBound = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 }
    }
    guard isBound else { throw TestBedFailure("\(name) can't be bound: \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  /// The next message, if there is one.
  func receive() -> String? {
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}
