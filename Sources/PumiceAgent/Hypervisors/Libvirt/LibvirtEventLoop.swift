import CLibvirt
import Synchronization

/// libvirt's event loop, of which a process can have one. It runs, on a thread of its own, while anybody holds it.
///
/// Connections need it for events and for keepalive messages, so each holds it from before it is opened.
enum LibvirtEventLoop {
  private struct State {
    var holders = 0
    var isRunning = false
    var wakeUp: Int32?
  }

  private static let state = Mutex(State())

  /// What libvirt wants to be told once per process, before anything else.
  private static let isRegistered: Void = {
    virSetErrorFunc(nil) { _, _ in }  // Errors are read and reported by us, not printed.
    virEventRegisterDefaultImpl()
  }()

  static var isRunning: Bool { state.withLock { $0.isRunning } }

  static func hold() {
    _ = isRegistered
    let mustStart = state.withLock { state in
      state.holders += 1
      // An armed timer is what gets the loop out of its wait: `release` arms it.
      if state.wakeUp == nil { state.wakeUp = virEventAddTimeout(-1, disarm, nil, nil) }
      if state.isRunning { return false }
      state.isRunning = true
      return true
    }
    if mustStart { LibvirtThreads.beginEventLoop { run() } }
  }

  static func release() {
    let wakeUp = state.withLock { state in
      state.holders -= 1
      return state.holders == 0 ? state.wakeUp : nil
    }
    if let wakeUp { virEventUpdateTimeout(wakeUp, 0) }
  }

  private static func run() {
    while mayGoOn() { _ = virEventRunDefaultImpl() }
  }

  private static func mayGoOn() -> Bool {
    state.withLock { state in
      state.isRunning = state.holders > 0
      return state.isRunning
    }
  }
}

private func disarm(_ timer: Int32, _: UnsafeMutableRawPointer?) {
  virEventUpdateTimeout(timer, -1)
}
