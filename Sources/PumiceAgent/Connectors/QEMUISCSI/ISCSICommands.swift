import CLibiscsi
import Glibc
import PumiceModel

/// The commands of one libiscsi context, each with a deadline.
///
/// libiscsi writes a command's outcome through a pointer, at the latest when its context is destroyed: also that of a command
/// which was given up long before. Its own synchronous calls point into the stack of the caller, which by then is somebody
/// else's. Here outcomes, and the bytes that commands carry, lie on the heap until the context is gone.
final class ISCSICommands {
  /// One command: how it ended, and what libiscsi still needs of it.
  private final class Command {
    /// `nil` while it is under way.
    var status: Int32?
    var task: UnsafeMutablePointer<scsi_task>?
    var payload: UnsafeMutableBufferPointer<UInt8>?

    deinit {
      if let task { scsi_free_scsi_task(task) }
      payload?.deallocate()
    }
  }

  private let context: OpaquePointer
  private let deadline: Duration
  /// Given up, but known to libiscsi.
  private var abandoned: [Command] = []

  /// - Parameter deadline: How long each command may take.
  init(_ context: OpaquePointer, deadline: Duration) {
    self.context = context
    self.deadline = deadline
  }

  /// Runs a SCSI command and reads its answer; `nil` when the target does not answer, or refuses it.
  ///
  /// The first command after a login may meet a unit attention: so it is sent up to three times.
  func read<Answer>(
    sending payload: [UInt8] = [],
    _ start:
      (OpaquePointer, UnsafeMutablePointer<UInt8>?, @escaping iscsi_command_cb, UnsafeMutableRawPointer)
      -> UnsafeMutablePointer<scsi_task>?,
    _ answer: (UnsafeMutablePointer<scsi_task>) -> Answer?
  ) -> Answer? {
    for _ in 0..<3 {
      let command = Command()
      if !payload.isEmpty {
        let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: payload.count)
        _ = buffer.initialize(from: payload)
        command.payload = buffer
      }
      command.task = start(context, command.payload?.baseAddress, commandEnded, Self.pointer(to: command))
      guard let task = command.task, awaitEnd(of: command) else { return nil }
      if command.status == Int32(SCSI_STATUS_CHECK_CONDITION.rawValue) { continue }
      return command.status == Int32(SCSI_STATUS_GOOD.rawValue) ? answer(task) : nil
    }
    return nil
  }

  /// Says good-bye, unless nobody listens any more.
  func logOut() {
    let command = Command()
    guard iscsi_logout_async(context, commandEnded, Self.pointer(to: command)) == 0 else { return }
    _ = awaitEnd(of: command)
  }

  /// Ends the context; every command has ended then.
  func destroyContext() {
    iscsi_destroy_context(context)
    abandoned = []
  }

  /// Whether it ended in time.
  private func awaitEnd(of command: Command) -> Bool {
    let start = ContinuousClock.now
    while command.status == nil {
      var wait = pollfd(fd: iscsi_get_fd(context), events: Int16(iscsi_which_events(context)), revents: 0)
      let ready = poll(&wait, 1, 100)
      guard ContinuousClock.now - start < deadline, iscsi_service(context, ready > 0 ? Int32(wait.revents) : 0) == 0
      else { break }
    }
    if command.status == nil { abandoned.append(command) }
    return command.status != nil
  }

  private static func pointer(to command: Command) -> UnsafeMutableRawPointer {
    Unmanaged.passUnretained(command).toOpaque()
  }

  fileprivate static func end(_ command: UnsafeMutableRawPointer?, with status: Int32) {
    guard let command else { return }
    Unmanaged<Command>.fromOpaque(command).takeUnretainedValue().status = status
  }
}

private func commandEnded(
  _: OpaquePointer?, status: Int32, _: UnsafeMutableRawPointer?, command: UnsafeMutableRawPointer?
) {
  ISCSICommands.end(command, with: status)
}
