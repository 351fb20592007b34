import CLibnfs
import Glibc
package import PumiceModel

/// A file that a session has open. It ends with its session, or by `close`.
package struct LibnfsFile: ShareFile {
  package let path: NFSPath
  private let session: LibnfsSession
  private let number: LibnfsFileNumber

  init(_ session: LibnfsSession, _ path: NFSPath, _ number: LibnfsFileNumber) {
    self.session = session
    self.path = path
    self.number = number
  }

  /// Fewer bytes only at the end of the file.
  package func read(_ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let (start, rest) = (UInt64(offset) + UInt64(bytes.count), UInt64(count - bytes.count))
      let more = try await call("Reading \(count) bytes at \(offset) of") { context, callback in
        nfs_pread_async(context, callback.file, start, rest, callback.function, callback.argument)
      } read: { answer in
        Array(UnsafeRawBufferPointer(start: answer.data, count: answer.data == nil ? 0 : answer.count))
      }
      if more.isEmpty { break }
      if bytes.isEmpty { bytes = more } else { bytes += more }
    }
    return bytes
  }

  /// Durable only after `sync`. When it fails, any part may have been written.
  package func write(_ bytes: [UInt8], at offset: Int64) async throws(StorageError) {
    var rest = bytes
    while !rest.isEmpty {
      let start = UInt64(offset) + UInt64(bytes.count - rest.count)
      let count = try await call("Writing \(bytes.count) bytes at \(offset) of", payload: rest) { context, callback in
        nfs_pwrite_async(
          context, callback.file, start, UInt64(callback.payload.count), callback.payload.baseAddress,
          callback.function, callback.argument)
      } read: { answer in
        answer.count
      }
      guard count > 0 else {
        throw StorageError(
          .failed, "Writing \(bytes.count) bytes at \(offset) of \(path) failed: the server took none.")
      }
      rest = Array(rest.dropFirst(count))
    }
  }

  /// Makes what was written durable (COMMIT, RFC 1813, 3.3.21).
  package func sync() async throws(StorageError) {
    try await call("Syncing") { context, callback in
      nfs_fsync_async(context, callback.file, callback.function, callback.argument)
    } read: { _ in
    }
  }

  /// Sets the size, durably: what is new is zeros, and takes no space.
  package func truncate(to size: ByteCount) async throws(StorageError) {
    try await call("Giving a size of \(size) to") { context, callback in
      nfs_ftruncate_async(context, callback.file, UInt64(size.bytes), callback.function, callback.argument)
    } read: { _ in
    }
  }

  package func status() async throws(StorageError) -> NFSFileStatus {
    let status = try await call("Reading the size of") { context, callback in
      nfs_fstat64_async(context, callback.file, callback.function, callback.argument)
    } read: { answer in
      answer.data.map { NFSFileStatus($0.load(as: nfs_stat_64.self)) }
    }
    guard let status else { throw StorageError(.failed, "Reading the size of \(path) failed: libnfs gave none.") }
    return status
  }

  /// Waits for what is under way on it. Nothing can be done with it afterwards.
  package func close() async throws(StorageError) {
    try await call("Closing", closesFile: true) { context, callback in
      nfs_close_async(context, callback.file, callback.function, callback.argument)
    } read: { _ in
    }
  }

  private func call<Value: Sendable>(
    _ verb: String, closesFile: Bool = false, payload: [UInt8] = [],
    _ begin: @escaping @Sendable (OpaquePointer, LibnfsCallback) -> Int32,
    read: @escaping @Sendable (LibnfsAnswer) -> Value
  ) async throws(StorageError) -> Value {
    try await session.call(
      "\(verb) \(path) on \(session.share)", on: number, closesFile: closesFile, payload: payload, begin, read: read)
  }
}

/// What a server says about a name.
package struct NFSFileStatus: Sendable, Equatable {
  package enum Kind: Sendable { case file, folder, link, other }

  package let kind: Kind
  package let size: ByteCount
  /// What it takes on the server's disks.
  package let allocated: ByteCount
  package let inode: UInt64
  /// When its bytes or its description changed last, in nanoseconds since 1970.
  package let changed: Int64
  /// The permissions, as in chmod(1).
  package let mode: UInt32
  package let user: UInt32
  package let group: UInt32

  init(_ status: nfs_stat_64) {
    kind =
      switch status.nfs_mode & 0o170000 {
      case 0o100000: .file
      case 0o040000: .folder
      case 0o120000: .link
      default: .other
      }
    size = ByteCount(Int64(clamping: status.nfs_size))
    allocated = ByteCount(Int64(clamping: status.nfs_used))
    inode = status.nfs_ino
    changed = Int64(clamping: status.nfs_ctime) &* 1_000_000_000 &+ Int64(clamping: status.nfs_ctime_nsec)
    mode = UInt32(truncatingIfNeeded: status.nfs_mode & 0o7777)
    user = UInt32(truncatingIfNeeded: status.nfs_uid)
    group = UInt32(truncatingIfNeeded: status.nfs_gid)
  }

  /// What comes with a listing (READDIRPLUS; RFC 1813, 3.3.17).
  init(_ entry: nfsdirent) {
    kind =
      switch entry.type {
      case 1: .file
      case 2: .folder
      case 5: .link
      default: .other
      }
    size = ByteCount(Int64(clamping: entry.size))
    allocated = ByteCount(Int64(clamping: entry.used))
    inode = entry.inode
    changed = Int64(entry.ctime.tv_sec) &* 1_000_000_000 &+ Int64(entry.ctime_nsec)
    mode = entry.mode & 0o7777
    user = entry.uid
    group = entry.gid
  }
}
