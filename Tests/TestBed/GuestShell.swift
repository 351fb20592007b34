import Foundation

/// Runs commands in a guest over its virtio serial port; `make-guest.sh` has the other end.
///
/// A line `ID BASE64` asks, `=ID STATUS BASE64` answers. Commands run beside each other, so one that hangs on a disk holds
/// up no other.
actor GuestShell {
  struct Answer: Sendable {
    let status: Int
    let output: String
  }

  private let path: String
  private var descriptor: Int32 = -1
  private var received: [UInt8] = []
  private var answers: [String: Answer] = [:]
  private var count = 0
  /// Two processes may talk to one guest in turn; their questions must not get each other's answers.
  private let prefix = String(UInt32.random(in: 0...UInt32.max), radix: 36)

  init(path: String) { self.path = path }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Throws when there is no answer in time; the command may then still run.
  func run(_ command: String, within deadline: Duration) async throws -> Answer {
    count += 1
    let id = "\(prefix)-\(count)"
    var unsent = Array("\(id) \(Data(command.utf8).base64EncodedString())\n".utf8)[...]
    return try await eventually("the guest has run `\(command)`", within: deadline, every: .milliseconds(5)) {
      try exchange(&unsent)
      return answers.removeValue(forKey: id)
    }
  }

  /// Sends what the socket takes and reads what there is. A guest that has been started anew is connected anew.
  private func exchange(_ unsent: inout ArraySlice<UInt8>) throws {
    if descriptor < 0 { try connect() }
    if !unsent.isEmpty {
      let sent = unsent.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if sent > 0 { unsent = unsent.dropFirst(sent) } else if errno != EAGAIN { disconnect() }
    }
    var buffer = [UInt8](repeating: 0, count: 65536)
    while descriptor >= 0 {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EAGAIN { break }
      if count <= 0 { disconnect() } else { received += buffer[..<count] }
    }
    while let end = received.firstIndex(of: UInt8(ascii: "\n")) {
      take(String(decoding: received[..<end], as: UTF8.self))
      received.removeSubrange(...end)
    }
  }

  private func take(_ line: String) {
    guard line.hasPrefix("=\(prefix)-") else { return }
    let words = line.dropFirst().split(separator: " ")
    guard words.count >= 2, let status = Int(words[1]) else { return }
    let output = words.count > 2 ? Data(base64Encoded: String(words[2])) : Data()
    answers[String(words[0])] = Answer(status: status, output: String(decoding: output ?? Data(), as: UTF8.self))
  }

  private func connect() throws {
    let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix($0.count - 1)) }
    let result = withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else {
      let problem = String(cString: strerror(errno))
      close(socket)
      throw TestBedFailure("\(path): \(problem)")
    }
    descriptor = socket
    received = []
  }

  private func disconnect() {
    close(descriptor)
    descriptor = -1
  }
}
