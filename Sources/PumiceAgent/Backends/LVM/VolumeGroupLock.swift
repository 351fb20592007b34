import Glibc

/// The lock that LVM commands of this host hold on a volume group while they work on it: an exclusive flock(2) for changes,
/// a shared one for reports, on `V_<group>` in `global/locking_dir` (lvm2, lib/locking/file_locking.c).
///
/// Only looked at, never waited for: LVM takes it away with the file, so it must be opened anew each time.
struct VolumeGroupLock: Sendable {
  private let path: String

  init(group: String, folder: String) { path = "\(folder)/V_\(group)" }

  /// Who is changing the group now, for messages; `nil` when nobody is.
  var holder: String? {
    let file = open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    // As a report does: reports don't stand in each other's way.
    guard flock(file, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK else { return nil }
    return process(holding: file).map { "process \($0)" } ?? "another process"
  }

  /// Takes the lock as a change does; `nil` while anybody has it.
  func take() -> Held? {
    let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { return nil }
    var ours = stat()
    var there = stat()
    guard flock(file, LOCK_EX | LOCK_NB) == 0, fstat(file, &ours) == 0, stat(path, &there) == 0,
      ours.st_ino == there.st_ino
    else {
      close(file)
      return nil
    }
    return Held(file: file, path: path)
  }

  struct Held {
    fileprivate let file: Int32
    fileprivate let path: String

    func release() {
      unlink(path)
      close(file)
    }
  }

  /// From the lines "1: FLOCK ADVISORY WRITE 4711 00:1b:3217 0 EOF" (proc_locks(5)).
  private func process(holding file: Int32) -> String? {
    var status = stat()
    guard fstat(file, &status) == 0, let locks = try? String(contentsOfFile: "/proc/locks") else { return nil }
    for line in locks.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 5, words[1] == "FLOCK", words[5].hasSuffix(":\(status.st_ino)") else { continue }
      let name = (try? String(contentsOfFile: "/proc/\(words[4])/comm"))?.split(separator: "\n").first
      return name.map { "\(words[4]) (\($0))" } ?? String(words[4])
    }
    return nil
  }
}
