import CLibnfs
import Glibc
package import PumiceModel

/// One share of one server, through libnfs: no mount, no root, and no call that outlives its deadline.
///
/// It speaks NFSv3. There a session has no state at the server, but a connection: libnfs 4.0 on NFSv4.0 counts its open calls
/// wrongly after each that fails (RFC 7530, 9.1.7) and never renews its lease, so that an idle session can open nothing more.
///
/// It does not come back by itself. When the connection ends, what is under way ends with `unavailable`, and so does every
/// later call: open another session and its files anew. Thus bytes which a server has lost by a restart, because they were
/// written and not yet synced, are never reported as synced: the same connection has seen both, or nothing was reported.
///
/// What makes, renames or deletes a name is durable when it returns (RFC 1813, 4.8), if the server keeps to it; what is written
/// to a file is so after `sync`. After `unavailable` or `timeout` such a call may have been done, and may yet be.
///
/// Calls may come from many tasks at once, and are all under way together. Let the session go, and it ends.
package final class LibnfsSession: Sendable {
  package let share: NFSShare
  let settings: LibnfsSettings
  private let thread: LibnfsThread

  /// Mounts the share, in the sense of RFC 1813, 5.
  ///
  /// Throws `forbidden` when the server does not admit us (also for a share that it does not have, when it won't say so),
  /// `notFound` without such a host or share, `unavailable` or `timeout` when nobody answers.
  package static func open(
    _ share: NFSShare, _ settings: LibnfsSettings
  ) async throws(StorageError) -> LibnfsSession {
    // libnfs would look the name up on the session's thread, for as long as that takes.
    let host = share.host
    let addresses = try await BlockingCalls.run(within: settings.deadline, "Finding the NFS server \(host)") {
      () throws(StorageError) in try serverAddresses(host)
    }
    var failure = StorageError(.unavailable, "The NFS server \(host) has no address.")
    for address in addresses {
      let session = LibnfsSession(share, settings, try LibnfsThread(settings))
      do throws(StorageError) {
        try await session.mount(at: address)
        return session
      } catch {
        failure = error
        guard [.unavailable, .timeout].contains(error.code) else { throw error }
      }
    }
    throw failure
  }

  private init(_ share: NFSShare, _ settings: LibnfsSettings, _ thread: LibnfsThread) {
    self.share = share
    self.settings = settings
    self.thread = thread
  }

  deinit { thread.end() }

  /// Why it can't be used any more; `nil` as long as it can, for all one knows.
  package var loss: String? { thread.loss }

  /// The share's size, and what its file system would still let an ordinary user write.
  package func capacity() async throws(StorageError) -> (total: ByteCount, free: ByteCount) {
    let capacity = try await call("Reading the free space of \(share)") { context, callback in
      nfs_statvfs64_async(context, "/", callback.function, callback.argument)
    } read: { answer in
      answer.data.map { data in
        let figures = data.load(as: nfs_statvfs_64.self)
        return (total: figures.bytes(figures.f_blocks), free: figures.bytes(figures.f_bavail))
      }
    }
    guard let capacity else {
      throw StorageError(.failed, "Reading the free space of \(share) failed: libnfs gave none.")
    }
    return capacity
  }

  /// What a name stands for, links not followed; `nil` when there is no such name.
  package func status(of path: NFSPath) async throws(StorageError) -> NFSFileStatus? {
    do throws(StorageError) {
      return try await call("Reading what \(path) on \(share) is", isOnRoot: path == .root) { context, callback in
        nfs_lstat64_async(context, path.text, callback.function, callback.argument)
      } read: { answer in
        answer.data.map { NFSFileStatus($0.load(as: nfs_stat_64.self)) }
      }
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }

  /// What is in a folder but for `.` and `..`, by its name. What can't be a name of ours, since it is not UTF-8, is left out.
  package func entries(of folder: NFSPath) async throws(StorageError) -> [String: NFSFileStatus] {
    try await call("Listing \(folder) of \(share)") { context, callback in
      nfs_opendir_async(context, folder.text, callback.function, callback.argument)
    } read: { answer in
      guard let data = answer.data else { return [:] }
      let listing = OpaquePointer(data)
      defer { nfs_closedir(answer.context.pointer, listing) }
      var entries: [String: NFSFileStatus] = [:]
      while let entry = nfs_readdir(answer.context.pointer, listing) {
        if let name = String(validatingCString: entry.pointee.name), name != ".", name != ".." {
          entries[name] = NFSFileStatus(entry.pointee)
        }
      }
      return entries
    } discard: { answer in
      if let data = answer.data { nfs_closedir(answer.context.pointer, OpaquePointer(data)) }
    }
  }

  /// Makes an empty file and opens it. Throws `conflict` when there is the name already.
  package func create(_ path: NFSPath, mode: Int32 = 0o660) async throws(StorageError) -> LibnfsFile {
    try await open(path, "Making", O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW, mode)
  }

  /// Opens a file, to write it as well. Throws `notFound`, and `forbidden` for a symbolic link.
  package func open(_ path: NFSPath) async throws(StorageError) -> LibnfsFile {
    try await open(path, "Opening", O_RDWR | O_NOFOLLOW, 0)
  }

  /// Gives a file another name, in place of what had it.
  package func rename(_ path: NFSPath, to newPath: NFSPath) async throws(StorageError) {
    try await call("Renaming \(path) to \(newPath) on \(share)") { context, callback in
      nfs_rename_async(context, path.text, newPath.text, callback.function, callback.argument)
    } read: { _ in
    }
  }

  /// Takes a file's name away. Throws `notFound`.
  package func remove(_ path: NFSPath) async throws(StorageError) {
    try await call("Deleting \(path) on \(share)") { context, callback in
      nfs_unlink_async(context, path.text, callback.function, callback.argument)
    } read: { _ in
    }
  }

  /// Makes a folder. Throws `conflict` when there is the name already.
  package func makeFolder(_ path: NFSPath, mode: Int32 = 0o770) async throws(StorageError) {
    try await call("Making the folder \(path) on \(share)") { context, callback in
      nfs_mkdir2_async(context, path.text, mode, callback.function, callback.argument)
    } read: { _ in
    }
  }

  // MARK: Parts

  private func mount(at address: String) async throws(StorageError) {
    let exported = share.path
    try await call("Mounting \(share) as user \(settings.user)") { context, callback in
      nfs_mount_async(context, address, exported, callback.function, callback.argument)
    } read: { _ in
    }
  }

  private func open(
    _ path: NFSPath, _ verb: String, _ flags: Int32, _ mode: Int32
  ) async throws(StorageError) -> LibnfsFile {
    let number: LibnfsFileNumber? = try await call("\(verb) \(path) on \(share)") { context, callback in
      nfs_open2_async(context, path.text, flags, mode, callback.function, callback.argument)
    } read: { answer in
      answer.data.map { answer.context.open(OpaquePointer($0)) }
    } discard: { answer in
      if let data = answer.data { answer.context.abandon(OpaquePointer(data)) }
    }
    guard let number else { throw StorageError(.failed, "\(verb) \(path) on \(share) failed: libnfs gave no file.") }
    return LibnfsFile(self, path, number)
  }

  /// Makes a call, and reads its answer on the session's thread.
  func call<Value: Sendable>(
    _ attempt: String, on file: LibnfsFileNumber? = nil, closesFile: Bool = false, isOnRoot: Bool = false,
    payload: [UInt8] = [],
    _ begin: @escaping @Sendable (OpaquePointer, LibnfsCallback) -> Int32,
    read: @escaping @Sendable (LibnfsAnswer) -> Value,
    discard: (@Sendable (LibnfsAnswer) -> Void)? = nil
  ) async throws(StorageError) -> Value {
    let outcome = await withCheckedContinuation { (waiter: CheckedContinuation<Result<Value, StorageError>, Never>) in
      thread.submit(
        LibnfsCall(
          attempt: attempt, deadline: settings.deadline, file: file, closesFile: closesFile, isOnRoot: isOnRoot,
          payload: payload,
          begin: begin, finish: { waiter.resume(returning: $0.map(read)) }, discard: discard))
    }
    return try outcome.get()
  }
}

extension nfs_statvfs_64 {
  /// A number of its blocks, or the most that can be said when a server says more.
  fileprivate func bytes(_ blocks: UInt64) -> ByteCount {
    let (product, isTooLarge) = Int64(clamping: blocks).multipliedReportingOverflow(by: Int64(clamping: f_frsize))
    return ByteCount(isTooLarge ? .max : product)
  }
}
