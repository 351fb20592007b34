import Foundation
import Glibc
import PumiceModel
import Synchronization

/// The thread that a session's libnfs context lives on, and the way to it.
///
/// It waits for nothing but poll(2), so that every call ends by its deadline; it ends with the session.
final class LibnfsThread: Sendable {
  private struct State {
    var arrivals: [LibnfsCall] = []
    var isEnding = false
    /// Why nothing can be called any more.
    var loss: String?
  }

  private let state = Mutex(State())
  /// A byte into the first wakes the thread, which polls the second.
  private let bell: (ring: Int32, hear: Int32)

  init(_ settings: LibnfsSettings) throws(StorageError) {
    var sockets: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    guard socketpair(AF_UNIX, type, 0, &sockets) == 0 else {
      throw StorageError(.unavailable, "Opening an NFS session failed: \(String(cString: strerror(errno))).")
    }
    bell = (sockets[0], sockets[1])
    let thread = Thread { self.run(settings) }
    thread.name = "nfs"
    thread.start()
  }

  deinit {
    close(bell.ring)
    close(bell.hear)
  }

  var loss: String? { state.withLock(\.loss) }

  func submit(_ call: LibnfsCall) {
    let loss = state.withLock { state in
      if state.loss == nil { state.arrivals.append(call) }
      return state.loss
    }
    if let loss { call.fail(LibnfsError.lost(call.attempt, loss)) } else { ring() }
  }

  /// Ends every call, and the connection.
  func end() {
    state.withLock { $0.isEnding = true }
    ring()
  }

  private func ring() {
    var byte: UInt8 = 1
    // When there is no room, it rings already.
    _ = write(bell.ring, &byte, 1)
  }

  private func run(_ settings: LibnfsSettings) {
    blockBrokenPipes()
    guard let context = LibnfsContext(settings) else { return refuse("libnfs has no memory for a session") }
    while true {
      var bytes = [UInt8](repeating: 0, count: 64)
      while read(bell.hear, &bytes, bytes.count) == bytes.count {}
      let (arrivals, isEnding) = state.withLock { state in
        defer { state.arrivals = [] }
        return (state.arrivals, state.isEnding)
      }
      if isEnding { context.lose("the session was ended") }
      arrivals.forEach(context.begin)
      context.giveUpLate()
      if let loss = context.loss {
        refuse(loss)
        return context.destroy()
      }
      context.wait(forBell: bell.hear)
    }
  }

  /// From here on nothing arrives any more.
  private func refuse(_ loss: String) {
    let rest = state.withLock { state in
      state.loss = loss
      defer { state.arrivals = [] }
      return state.arrivals
    }
    for call in rest { call.fail(LibnfsError.lost(call.attempt, loss)) }
  }
}
