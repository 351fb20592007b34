import Glibc
import PumiceModel
import Synchronization

/// A share at the mount point that its name gives it, the same on every node.
///
/// Whether it is mounted says /proc/self/mountinfo and no exit status; whether it is of use, an answer of its server. Every
/// call ends by a deadline: the kernel's own patience with a server has none, see `NFSMountOptions`.
final class MountedShare: Sendable {
  struct Timing: Sendable {
    /// For a call on files.
    var call = Duration.seconds(30)
    /// For the proof that a server answers.
    var probe = Duration.seconds(10)
    /// For mount(8) and umount(8), which are then killed.
    var command = Duration.seconds(40)
    /// Between two attempts to mount, of which there are three.
    var pause = Duration.seconds(1)
  }

  let share: NFSShare
  let mountPoint: String
  let timing: Timing
  let calls: ShareCalls
  private let places: ShareMounts.Places
  private let commands: MountCommands
  /// Nobody mounts and unmounts at once.
  private let lock = KeyedLock<String>()
  /// For those who waited for their turn meanwhile, so that the patience for a dead server is not asked of each of them.
  private let lastFailure = Mutex<Failure?>(nil)

  private struct Failure {
    let error: StorageError
    let time: ContinuousClock.Instant
  }

  init(_ share: NFSShare, _ places: ShareMounts.Places, _ timing: Timing) {
    self.share = share
    self.places = places
    self.timing = timing
    mountPoint = share.mountPoint(in: places.base)
    calls = ShareCalls(share.description)
    commands = MountCommands(deadline: timing.command)
  }

  /// When it returns, the share is mounted and its server has answered. Harmless when repeated; options count when it is
  /// mounted anew.
  ///
  /// What is mounted there already, by whomever, is used. A mount of which the server knows nothing any more (ESTALE) is
  /// replaced, unless a program still has something open there: then that is `inUse`.
  ///
  /// Throws `forbidden` for what the server does not show this node, `conflict` when something else is mounted there,
  /// `unavailable` or `timeout` when the server does not answer.
  ///
  /// - Parameter arrival: Since when the caller waits. What has failed for another one since then is not tried again.
  @discardableResult
  func ensureMounted(
    _ options: NFSMountOptions, arrival: ContinuousClock.Instant = .now
  ) async throws(StorageError) -> NFSMount {
    try await lock.withLock(mountPoint) { () async throws(StorageError) in
      if let failure = lastFailure.withLock({ $0 }), failure.time > arrival { throw failure.error }
      do throws(StorageError) {
        return try await ensureInLock(options)
      } catch {
        lastFailure.withLock { $0 = Failure(error: error, time: .now) }
        throw error
      }
    }
  }

  /// Unmounts it. Content when it is not mounted, or something else is.
  ///
  /// Throws `inUse` when a program of this node has something open there. Nothing is forced then.
  func unmount() async throws(StorageError) {
    try await lock.withLock(mountPoint) { () async throws(StorageError) in try await unmountInLock() }
  }

  func standing() throws(StorageError) -> NFSMountStanding {
    try MountTable.current().standing(of: share, at: mountPoint)
  }

  /// Opens the root of the share, and nothing else: not the empty folder below a mount that is gone, nor what lies above it.
  /// Blocking, for as long as the server likes; to be called through `calls`.
  func open(
    newFiles: VolumeFolder.NewFiles = .init(), allowsEverybody: Bool = true
  ) throws(StorageError) -> VolumeFolder {
    let table = try MountTable.current()
    switch table.standing(of: share, at: mountPoint) {
    case .mounted: break
    case .absent:
      throw StorageError(.unavailable, "\(share) is not mounted at \(mountPoint).", cause: NotMounted())
    case .occupied(let sentence): throw StorageError(.conflict, sentence)
    }
    let folder = try VolumeFolder(path: mountPoint, newFiles: newFiles, allowsEverybody: true)
    var status = stat()
    guard fstat(folder.descriptor, &status) == 0 else {
      throw VolumeFolder.error("Reading the permissions of \(mountPoint)")
    }
    guard allowsEverybody || status.st_mode & S_IWOTH == 0 else {
      throw StorageError(
        .forbidden, "The share \(share) is writable by everybody. Take that away on its server (chmod o-w).")
    }
    // What was opened is asked by which mount it was reached: proc_pid_fdinfo(5).
    let path = "/proc/self/fdinfo/\(folder.descriptor)"
    let line = (try? String(contentsOfFile: path))?.split(separator: "\n").first { $0.hasPrefix("mnt_id:") }
    let id = line.flatMap { Int($0.dropFirst("mnt_id:".utf8.count).drop(while: \.isWhitespace)) }
    guard let id, id == table.mount(at: mountPoint)?.id else {
      throw StorageError(
        .unavailable, "\(share) was unmounted from \(mountPoint) while it was being opened.", cause: NotMounted())
    }
    return folder
  }

  // MARK: Inside the lock

  private func ensureInLock(_ options: NFSMountOptions) async throws(StorageError) -> NFSMount {
    let mount = try await mounted(options)
    do throws(StorageError) {
      try await prove()
      return mount
    } catch {
      guard error.cause is StaleHandle else { throw error }
    }
    try await unmountInLock()
    let new = try await mounted(options)
    try await prove()
    return new
  }

  private func prove() async throws(StorageError) {
    try await calls.run(within: timing.probe, "Asking the server of \(share)") { () throws(StorageError) in
      let folder = try self.open()
      // Both ask the server, whatever the kernel remembers.
      _ = try folder.capacity()
      try folder.requireListing()
    }
  }

  private func mounted(_ options: NFSMountOptions) async throws(StorageError) -> NFSMount {
    switch try standing() {
    case .mounted(let mount): return mount
    case .occupied(let sentence): throw StorageError(.conflict, "\(share) can't be mounted: \(sentence)")
    case .absent: break
    }
    try makeMountPoint()
    try places.mark(share)
    for _ in 1..<3 {
      do throws(StorageError) {
        return try await climb(options)
      } catch {
        // One that ran out of time has used up everybody's patience.
        guard error.code == .unavailable else { throw error }
      }
      do { try await Task.sleep(for: timing.pause) } catch { throw StorageError.wrap(error, "Mounting \(share)") }
    }
    return try await climb(options)
  }

  private func makeMountPoint() throws(StorageError) {
    try ShareMounts.Places.makeFolder(mountPoint)
    var status = stat()
    guard lstat(mountPoint, &status) == 0 else { throw VolumeFolder.error("Reading the permissions of \(mountPoint)") }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw StorageError(.forbidden, "\(mountPoint) is a symbolic link or no folder, so nothing is mounted there.")
    }
  }

  /// From the newest version down to one that the server speaks. Only that one is missing leads to the next: with another, a
  /// server may mean another folder by the same path.
  private func climb(_ options: NFSMountOptions) async throws(StorageError) -> NFSMount {
    let attempt = "Mounting \(share) at \(mountPoint)"
    var failure: StorageError?
    for version in options.versions {
      let outcome = try await commands.mount(share, at: mountPoint, options.argument(version: version))
      switch try standing() {
      case .mounted(let mount): return mount
      case .occupied(let sentence): throw StorageError(.conflict, "\(attempt) failed: \(sentence)")
      case .absent: break
      }
      guard !outcome.succeeded else {
        throw StorageError(
          .failed, "\(attempt) failed: mount reports success, but \(MountTable.path) does not have it.")
      }
      let error = MountError.error(attempt, outcome)
      guard case MountError.versionNotSupported? = error.cause else { throw error }
      failure = error
    }
    throw failure ?? StorageError(.failed, "\(attempt) failed: there is no version of NFS to try.")
  }

  private func unmountInLock() async throws(StorageError) {
    guard case .mounted = try standing() else {
      places.unmark(share)
      return
    }
    let attempt = "Unmounting \(share) from \(mountPoint)"
    var ended: Result<CommandRunner.Outcome, StorageError>
    do throws(StorageError) {
      ended = .success(try await commands.unmount(mountPoint))
    } catch {
      ended = .failure(error)
    }
    // The kernel takes the mount away before it takes leave of the server, for which umount may wait in vain.
    if case .mounted = try standing() {
      let outcome = try ended.get()
      if MountError(outcome.standardError) == .busy {
        if calls.isHeld {
          throw StorageError(
            .unavailable, "\(attempt) failed: its server does not answer, and the agent's own calls wait for it.")
        }
        throw StorageError(.inUse, "\(attempt) failed: a program has something open there.")
      }
      throw MountError.error(attempt, outcome)
    }
    places.unmark(share)
    // So that nobody finds an empty folder and writes to it.
    rmdir(mountPoint)
  }
}

/// Why an open folder is not that of a share.
struct NotMounted: Error {}

extension VolumeFolder {
  /// Throws when its names can't be read; reads but a few.
  fileprivate func requireListing() throws(StorageError) {
    let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let stream = fdopendir(copy) else { throw Self.error("Opening the folder \(path)") }
    defer { closedir(stream) }
    errno = 0
    guard readdir(stream) != nil || errno == 0 else { throw Self.error("Listing the folder \(path)") }
  }
}
