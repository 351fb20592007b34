import Glibc
import PumiceModel

/// What Linux adds to POSIX for files as large as volumes.
extension VolumeFolder {
  /// Makes a new file that shares its bytes with another until either is written to, durable but for its name: in an
  /// instant, and of one instant, whoever is writing to the other (ioctl_ficlonerange(2)).
  ///
  /// `false`, with nothing left, where the file system can't. XFS made with `reflink=1` and btrfs can.
  func share(_ name: String, as newName: String) throws(StorageError) -> Bool {
    try reach("share")
    let source = try openFile(name, O_RDONLY)
    defer { close(source) }
    let file = try openFile(newName, O_CREAT | O_EXCL | O_RDWR)
    defer { close(file) }
    guard ioctl(file, Self.ficlone, source) == 0 else {
      let number = errno
      try remove(newName)
      switch number {
      case EOPNOTSUPP, ENOTTY, EXDEV, EINVAL, ENOSYS: return false
      default:
        errno = number
        throw Self.error("Copying \(path(of: name)) to \(newName)")
      }
    }
    try sync(newName)
    return true
  }

  /// Whether a program on this machine has the file open for writing; `false` where the file system can't tell.
  ///
  /// A lease for reading is refused exactly then (fcntl(2), F_SETLEASE).
  func isOpenForWriting(_ name: String) throws(StorageError) -> Bool {
    let file = try openFile(name, O_RDONLY)
    defer { close(file) }
    // Whoever opens it while we hold the lease makes the kernel send a signal. SIGIO would end this process; SIGURG is
    // ignored by default.
    _ = fcntl(file, Self.setSignal, SIGURG)
    // A process being started has copies of what we had open when it was forked, until it executes its program.
    for _ in 0..<20 {
      if fcntl(file, Self.setLease, Int32(F_RDLCK)) == 0 {
        _ = fcntl(file, Self.setLease, Int32(F_UNLCK))
        return false
      }
      guard errno == EAGAIN else { return false }
      usleep(10_000)
    }
    return true
  }

  /// Where the next bytes are that are no hole, from `position` on (lseek(2)); `nil` when there are none up to the end.
  func nextData(_ file: Int32, from position: Int64, end: Int64) -> Range<Int64>? {
    let data = lseek(file, off_t(position), Self.seekData)
    if data < 0 { return errno == ENXIO ? nil : position..<end }
    let hole = lseek(file, data, Self.seekHole)
    return Int64(data)..<(hole > data ? min(Int64(hole), end) : end)
  }

  // From linux/fs.h and linux/fcntl.h; Swift's Glibc module lacks them.
  private static let ficlone: UInt = 0x4004_9409
  private static let seekData: Int32 = 3
  private static let seekHole: Int32 = 4
  private static let setSignal: Int32 = 10
  private static let setLease: Int32 = 1024
}
