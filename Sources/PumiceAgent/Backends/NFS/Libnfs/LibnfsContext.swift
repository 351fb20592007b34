import CLibnfs
import Glibc
import PumiceModel

/// A context of libnfs with its calls and open files. It belongs to one thread, and never blocks it but in `wait`.
///
/// libnfs tells the end of a call through a pointer, at the latest when its context is destroyed: also that of a call which was
/// given up long before. So calls, and the bytes that they carry, lie on the heap until then.
final class LibnfsContext {
  let pointer: OpaquePointer
  /// Why it can't be used any more. Once it is set it stays.
  private(set) var loss: String?

  private var running: [UInt64: RunningCall] = [:]
  /// Those that wait until nothing else is under way on their file.
  private var held: [RunningCall] = []
  private var files: [LibnfsFileNumber: OpaquePointer] = [:]
  private var lastNumber: UInt64 = 0
  private var lastAnswer = ContinuousClock.now
  /// Calls whose failure is understood when it is known how the connection is.
  private var doubtful: [(call: RunningCall, number: Int32, message: String)] = []

  /// `nil` when there is no memory.
  init?(_ settings: LibnfsSettings) {
    guard let pointer = nfs_init_context() else { return nil }
    self.pointer = pointer
    nfs_set_version(pointer, 3)
    if let ports = settings.ports {
      // libnfs has no other way for them, and looks at nothing but what stands behind the question mark.
      let url = nfs_parse_url_dir(pointer, "nfs://-/-?version=3&nfsport=\(ports.nfs)&mountport=\(ports.mount)")
      if let url { nfs_destroy_url(url) }
    }
    nfs_set_autoreconnect(pointer, 0)
    nfs_set_dircache(pointer, 0)
    nfs_set_uid(pointer, Int32(bitPattern: settings.user))
    nfs_set_gid(pointer, Int32(bitPattern: settings.group))
    nfs_umask(pointer, 0)
  }

  func begin(_ call: LibnfsCall) {
    lastNumber += 1
    let running = RunningCall(call, number: lastNumber, in: self)
    if call.closesFile, isBusy(call.file) {
      held.append(running)
    } else {
      begin(running)
    }
  }

  /// Waits until libnfs, the bell or a deadline has something to do, and does it.
  func wait(forBell bell: Int32) {
    var descriptors = [
      pollfd(fd: nfs_get_fd(pointer), events: Int16(truncatingIfNeeded: nfs_which_events(pointer)), revents: 0),
      pollfd(fd: bell, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&descriptors, 2, millisecondsToDeadline) > 0 else { return }
    var events = Int32(descriptors[0].revents)
    guard events != 0 else { return }
    // A server that refuses also hangs up: first hear what it has to say.
    if events & POLLIN != 0 { events &= ~(POLLHUP | POLLERR) }
    let isConnected = nfs_service(pointer, events) == 0
    if !isConnected { lose("the connection to the server has ended\(reason(nfs_get_error(pointer)))") }
    judgeDoubtful()
    beginHeld()
  }

  /// Gives up what should have been answered by now. A server that has said nothing at all since then is taken for dead.
  func giveUpLate() {
    let now = ContinuousClock.now
    for call in Array(running.values) + held where !call.isOver && call.end <= now {
      call.finish(.failure(LibnfsError.late(call.call.attempt, call.call.deadline)))
      if lastAnswer < call.begun { lose("the server has not answered for \(call.call.deadline)") }
    }
    held.removeAll(where: \.isOver)
  }

  func open(_ file: OpaquePointer) -> LibnfsFileNumber {
    lastNumber += 1
    let number = LibnfsFileNumber(rawValue: lastNumber)
    files[number] = file
    return number
  }

  /// Closes a file that nobody knows of.
  func abandon(_ file: OpaquePointer) { nfs_close_async(pointer, file, ignoreEnd, nil) }

  func lose(_ reason: String) { if loss == nil { loss = reason } }

  /// Ends the connection, every call and every file.
  func destroy() {
    let loss = loss ?? "the session was ended"
    for call in Array(running.values) + held { call.finish(.failure(LibnfsError.lost(call.call.attempt, loss))) }
    // What libnfs knows of a file goes only by closing it. Where a call is still under way on it, a few hundred bytes stay.
    for (number, file) in files where !isBusy(number) { abandon(file) }
    nfs_destroy_context(pointer)
    (running, held, files, doubtful) = ([:], [], [:], [])
  }

  // MARK: Calls

  fileprivate func ended(_ call: RunningCall, _ number: Int32, _ data: UnsafeMutableRawPointer?) {
    guard running.removeValue(forKey: call.number) != nil else { return }
    lastAnswer = .now
    if number >= 0 {
      let answer = LibnfsAnswer(context: self, count: Int(number), data: data)
      if call.isOver { call.call.discard?(answer) } else { call.finish(.success(answer)) }
    } else {
      // With a failure, `data` is not always text: what libnfs says of it is its last error.
      doubtful.append((call, number, text(nfs_get_error(pointer))))
    }
  }

  private func begin(_ running: RunningCall) {
    let call = running.call
    let file = call.file.flatMap { files[$0] }
    if call.file != nil, file == nil {
      return running.finish(.failure(StorageError(.failed, "\(call.attempt) failed: the file has been closed.")))
    }
    // However the closing ends, libnfs has no such file then.
    if call.closesFile, let number = call.file { files[number] = nil }
    self.running[running.number] = running
    let number = call.begin(
      pointer,
      LibnfsCallback(
        function: callEnded, argument: Unmanaged.passUnretained(running).toOpaque(), file: file,
        payload: running.payload))
    guard number != 0 else { return judgeDoubtful() }
    self.running[running.number] = nil
    running.finish(.failure(LibnfsError.notSent(call.attempt)))
  }

  private func judgeDoubtful() {
    for (call, number, message) in doubtful {
      if number == -EFAULT || number == -EINTR, let loss {
        call.finish(.failure(LibnfsError.lost(call.call.attempt, loss)))
        continue
      }
      call.finish(.failure(LibnfsError.answer(call.call.attempt, number, message: message)))
      if call.call.isOnRoot, NFSStatus(message: message)?.isStale ?? false {
        lose("the server does not know the share any more (stale handle)")
      }
    }
    doubtful = []
  }

  private func beginHeld() {
    let ready = held.filter { !isBusy($0.call.file) }
    held.removeAll { call in ready.contains { $0 === call } }
    ready.forEach(begin)
  }

  private func isBusy(_ file: LibnfsFileNumber?) -> Bool {
    guard let file else { return false }
    return running.values.contains { $0.call.file == file }
  }

  private var millisecondsToDeadline: Int32 {
    guard let end = (running.values.filter { !$0.isOver }.map(\.end) + held.map(\.end)).min() else { return -1 }
    // Rounded up, so that it is not too early by a part of one.
    return Int32(clamping: Int64((end - .now) / .milliseconds(1)) + 1).clamped(to: 0...60_000)
  }

  private func reason(_ message: UnsafeMutablePointer<CChar>?) -> String {
    let text = text(message)
    return text.isEmpty ? "" : " (\(text))"
  }

  private func text(_ message: UnsafeMutablePointer<CChar>?) -> String {
    guard let message else { return "" }
    var text = String(cString: message)[...]
    while let last = text.last, last.isWhitespace || last == "." { text = text.dropLast() }
    return String(text)
  }
}

/// A call that libnfs may know.
private final class RunningCall {
  let call: LibnfsCall
  let number: UInt64
  let begun = ContinuousClock.now
  let payload: UnsafeMutableBufferPointer<UInt8>
  /// Whether whoever made it has been told its end.
  private(set) var isOver = false
  private unowned let context: LibnfsContext

  init(_ call: LibnfsCall, number: UInt64, in context: LibnfsContext) {
    self.call = call
    self.number = number
    self.context = context
    payload = .allocate(capacity: call.payload.count)
    _ = payload.initialize(from: call.payload)
  }

  deinit { payload.deallocate() }

  var end: ContinuousClock.Instant { begun + call.deadline }

  func finish(_ outcome: Result<LibnfsAnswer, StorageError>) {
    guard !isOver else { return }
    isOver = true
    call.finish(outcome)
  }

  func ended(_ number: Int32, _ data: UnsafeMutableRawPointer?) { context.ended(self, number, data) }
}

private func callEnded(number: Int32, _: OpaquePointer?, data: UnsafeMutableRawPointer?, call: UnsafeMutableRawPointer?)
{
  guard let call else { return }
  Unmanaged<RunningCall>.fromOpaque(call).takeUnretainedValue().ended(number, data)
}

private func ignoreEnd(_: Int32, _: OpaquePointer?, _: UnsafeMutableRawPointer?, _: UnsafeMutableRawPointer?) {}

extension Comparable {
  fileprivate func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}
