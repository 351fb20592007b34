import Glibc
import PumiceModel

/// The folder where one agent keeps what has to survive it. It belongs to this process until the object goes.
final class StateDirectory: Sendable {
  let path: String
  private let descriptor: Int32

  /// Makes the folder, with those above it, if there is none, and locks it (flock(2)).
  ///
  /// Throws `inUse` while another agent has it, `forbidden` when it is a link or others may write there.
  init(path: String) throws(StorageError) {
    self.path = path
    guard path.hasPrefix("/") else { throw .invalid("state_directory", "must be an absolute path; it is \"\(path)\".") }
    var prefix = ""
    for part in path.split(separator: "/") {
      prefix += "/\(part)"
      if mkdir(prefix, 0o755) != 0, errno != EEXIST { throw Self.error("Making the folder \(prefix)") }
    }
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard folder >= 0 else { throw Self.error("Opening the state directory \(path)") }
    descriptor = folder
    var status = stat()
    guard fstat(folder, &status) == 0 else { throw Self.error("Reading the permissions of \(path)") }
    guard status.st_mode & 0o022 == 0 else {
      throw StorageError(
        .forbidden, "The state directory \(path) can be written by others. Close it with: chmod 0755 \(path)")
    }
    // A child that an agent has just forked holds the lock until it executes its program, also when the agent is gone.
    var tries = 20
    while flock(folder, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK else { throw Self.error("Locking the state directory \(path)") }
      guard tries > 0 else {
        throw StorageError(
          .inUse, "Another agent has the state directory \(path). Give each agent its own (state_directory).")
      }
      tries -= 1
      usleep(50_000)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  private static func error(_ attempt: String) -> StorageError {
    let number = errno
    return StorageError(
      number == EACCES || number == EPERM || number == ELOOP || number == ENOTDIR || number == EROFS
        ? .forbidden : .failed,
      "\(attempt) failed: \(String(cString: strerror(number))).")
  }
}
