import Glibc
import Logging
import PumiceModel
import ServiceLifecycle

/// Tells systemd that the agent has put back what a reboot took (sd_notify(3)), so that libvirtd, which is ordered after it,
/// finds the disks of the instances that it starts with the machine.
///
/// It does not wait for ever: a target that is away shall not keep other instances from starting. An agent that systemd did
/// not start tells nobody.
struct Readiness: Service {
  static let patience = Duration.seconds(30)

  private let socket: String?
  private let logger: Logger
  private let signals: AsyncStream<Void>
  private let signal: AsyncStream<Void>.Continuation

  /// - Parameter socket: The value of `NOTIFY_SOCKET`: a path, or a name in the abstract namespace after an `@`.
  init(socket: String?, logger: Logger) {
    self.socket = socket
    self.logger = logger
    (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Says that a pass over the records has ended. Only the first one counts.
  func passed() { signal.yield() }

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask {
          try? await Task.sleep(for: Self.patience)
          signal.yield()
        }
        for await _ in signals { break }
        group.cancelAll()
      }
      if !Task.isCancelled, let socket {
        do throws(StorageError) { try await announce(at: socket) } catch {
          logger.warning("systemd can't be told that the agent is ready", metadata: ["error": "\(error)"])
        }
      }
      while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }
  }

  private func announce(at name: String) async throws(StorageError) {
    try await BlockingCalls.run { () throws(StorageError) in
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      var bytes = Array(name.utf8)
      guard 2..<MemoryLayout.size(ofValue: address.sun_path) ~= bytes.count else {
        throw StorageError(.failed, "NOTIFY_SOCKET is no name of a socket: \(name).")
      }
      if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
      let length = socklen_t(MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + bytes.count } ?? 0)
      let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      defer { close(descriptor) }
      let message = Array("READY=1".utf8)
      let sent = withUnsafePointer(to: address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
        }
      }
      guard sent == message.count else {
        throw StorageError(.failed, "Writing to \(name) failed: \(String(cString: strerror(errno))).")
      }
    }
  }
}
