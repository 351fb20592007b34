import FoundationEssentials
import Glibc
import PumiceModel

/// Speaks to one tgtd over its management socket. Every call blocks: use it inside `BlockingCalls`.
///
/// tgtadm does the same, but takes secrets as arguments that everybody can read, and costs a process for each request.
package struct TGTClient: Sendable {
  /// Who answers on the socket; another value means that tgtd was restarted and has forgotten everything.
  package struct Incarnation: Sendable, Equatable {
    package let processID: Int32
    /// Clock ticks between the machine's start and the process's.
    package let startTime: UInt64
  }

  /// Where tgtd listens, such as `/var/run/tgtd/socket.0`.
  package let socketPath: String
  private let deadline: Int

  /// - Parameters:
  ///   - socketPath: As tgtd has it: `TGT_IPC_SOCKET` (or `/var/run/tgtd/socket`), a dot, the control port.
  ///   - deadline: Seconds that tgtd may be silent for.
  package init(socketPath: String, deadline: Int = 10) {
    self.socketPath = socketPath
    self.deadline = deadline
  }

  /// The text of tgtd's answer. `attempt` begins the message of a failure: "Creating target iqn…".
  ///
  /// Throws `unavailable` when nobody answers.
  func call(_ request: TGTRequest, _ attempt: @autoclosure () -> String) throws(StorageError) -> String {
    do {
      return try send(request)
    } catch let error as TGTError {
      throw error.storageError(attempt())
    } catch {
      throw StorageError.wrap(error, attempt())
    }
  }

  /// Like `call`, for requests whose wish may be fulfilled already: such refusals count as done.
  @discardableResult
  func call(
    _ request: TGTRequest, content codes: Set<TGTErrorCode>, _ attempt: @autoclosure () -> String
  ) throws(StorageError) -> Bool {
    do {
      _ = try send(request)
      return true
    } catch let error as TGTError {
      if let code = error.code, codes.contains(code) { return false }
      throw error.storageError(attempt())
    } catch {
      throw StorageError.wrap(error, attempt())
    }
  }

  /// Who answers; `nil` when nobody does.
  package func incarnation() -> Incarnation? {
    // A whole request, since tgtd 1.0.85 may spin on a connection that closes without one.
    var peer: Int32 = 0
    guard (try? send(TGTRequest(mode: .driver, operation: .show), peer: &peer)) != nil else { return nil }
    return Incarnation(processID: peer, startTime: Self.startTime(of: peer))
  }

  private func send(_ request: TGTRequest) throws -> String {
    var peer: Int32 = 0
    return try send(request, peer: &peer)
  }

  private func send(_ request: TGTRequest, peer: inout Int32) throws -> String {
    let socket = try connected()
    defer { close(socket) }
    peer = Self.peer(of: socket)
    let bytes = request.encoded
    guard bytes.count <= TGTRequest.maximumLength else {
      throw StorageError(
        .invalid, "A request to tgtd would have \(bytes.count) bytes; it takes \(TGTRequest.maximumLength).")
    }
    guard bytes.withUnsafeBytes({ Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }) == bytes.count
    else { throw silence("did not take a request") }
    guard let header = TGTResponseHeader(try read(TGTResponseHeader.length, from: socket)) else {
      throw StorageError(.failed, "What answers on \(socketPath) does not speak tgtd's language.")
    }
    guard header.code == 0 else { throw TGTError(number: header.code) }
    // A C string, with its end.
    return String(decoding: try read(header.bodyLength, from: socket).prefix { $0 != 0 }, as: UTF8.self)
  }

  private func connected() throws(StorageError) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = withUnsafeMutableBytes(of: &address.sun_path) { field in
      guard socketPath.utf8.count < field.count else { return false }
      field.copyBytes(from: socketPath.utf8)
      return true
    }
    guard fits else { throw StorageError(.invalid, "The path of tgtd's socket is too long: \(socketPath)") }
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { throw silence("can't be reached") }
    var limit = timeval(tv_sec: deadline, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        connect(socket, address, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else {
      let error = silence("is not running, or does not answer")
      close(socket)
      throw error
    }
    return socket
  }

  private func read(_ count: Int, from socket: Int32) throws(StorageError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var length = 0
    while length < count {
      let received = bytes.withUnsafeMutableBytes { recv(socket, $0.baseAddress! + length, $0.count - length, 0) }
      if received < 0, errno == EINTR { continue }
      guard received != 0 else {
        throw StorageError(.unavailable, "tgtd at \(socketPath) closed the connection before it had answered.")
      }
      guard received > 0 else { throw silence("did not answer within \(deadline) s") }
      length += received
    }
    return bytes
  }

  private func silence(_ problem: String) -> StorageError {
    StorageError(.unavailable, "tgtd at \(socketPath) \(problem): \(String(cString: strerror(errno))).")
  }

  private static func peer(of socket: Int32) -> Int32 {
    // struct ucred: pid, uid, gid; Glibc's module hides it.
    var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)
    var length = socklen_t(MemoryLayout.size(ofValue: credentials))
    getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length)
    return credentials.0
  }

  /// Field 22 of `/proc/PID/stat` (proc(5)), counted after the command's closing parenthesis.
  private static func startTime(of process: Int32) -> UInt64 {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let end = text.lastIndex(of: ")")
    else { return 0 }
    let fields = text[end...].split(separator: " ")
    return fields.count > 20 ? UInt64(fields[20]) ?? 0 : 0
  }
}
