import PumiceModel

/// The folder that a share is, whichever way it is reached: all that the NFS backend does with files.
///
/// | driver          | access   | asks                                            |
/// |-----------------|----------|-------------------------------------------------|
/// | `LibnfsFolder`  | `libnfs` | the server, in user space                       |
/// | `MountedFolder` | `mount`  | the kernel, where the share is mounted          |
///
/// Names are those of files in its root; none leads out of it, and no symbolic link is followed. Every call ends by a
/// deadline, with `unavailable` or `timeout` when the server does not answer: then it may have been done, and may yet be.
/// `ShareFolderConformance` holds a driver to what stands here.
protocol ShareFolder: Sendable {
  typealias FileStatus = VolumeFolder.FileStatus

  /// A file as messages name it.
  func path(of name: String) -> String

  /// What a regular file is like; `nil` if there is no such name. Throws `conflict` for what is no regular file.
  func status(of name: String) async throws(StorageError) -> FileStatus?

  /// Every regular file, by its name.
  func files() async throws(StorageError) -> [String: FileStatus]

  /// Makes an empty file, readable and writable by its owner and group. Throws `conflict` when there is one.
  func create(_ name: String) async throws(StorageError)

  /// Makes a file of zeros. Throws `conflict` when there is one. When it fails, a smaller one may be there.
  func create(_ name: String, size: ByteCount, thick: Bool) async throws(StorageError)

  /// Makes a file larger, durably, with zeros; never smaller.
  ///
  /// - Parameter thick: Whether all its blocks shall be taken now. Throws `unsupported` where the access can't ask for it.
  func grow(_ name: String, to size: ByteCount, thick: Bool) async throws(StorageError)

  /// Cuts a file's end off; never makes it larger.
  func shrink(_ name: String, to size: ByteCount) async throws(StorageError)

  /// Makes the content of a file durable.
  func sync(_ name: String) async throws(StorageError)

  /// Puts a small file in place of what had its name, durable but for that. When it fails, nothing whole is left.
  func write(_ bytes: [UInt8], to name: String) async throws(StorageError)

  /// Overwrites a few bytes of a file, durably.
  func write(_ bytes: [UInt8], to name: String, at offset: Int64) async throws(StorageError)

  /// Reads a part of a file: fewer bytes only at its end. `nil` if there is no such name.
  func read(_ name: String, _ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8]?

  /// Opens a file, to read and write a lot of it.
  func open(_ name: String) async throws(StorageError) -> any ShareFile

  /// Gives a file another name, in place of what had it.
  func rename(_ name: String, to newName: String) async throws(StorageError)

  /// Takes a name and its bytes away; content if it is not there.
  func remove(_ name: String) async throws(StorageError)

  /// Makes the names durable as they are now.
  func sync() async throws(StorageError)

  /// The size of the server's file system, and what could still be written to it.
  func capacity() async throws(StorageError) -> (total: ByteCount, free: ByteCount)

  /// Whether it is worth while to ask for `share`.
  var canShare: Bool { get }

  /// Makes a new file that shares its bytes with another until either is written to, of one instant, durable but for its name.
  /// `false`, with nothing left, where server or access can't.
  func share(_ name: String, as newName: String) async throws(StorageError) -> Bool

  /// What QEMU's tools open for the file.
  func place(of name: String) -> DiskImage.Place
}

extension ShareFolder {
  func create(_ name: String, size: ByteCount, thick: Bool) async throws(StorageError) {
    try await create(name)
    try await grow(name, to: size, thick: thick)
  }

  /// Reads a small file (up to 32 MiB).
  func read(_ name: String) async throws(StorageError) -> [UInt8]? { try await read(name, 32 << 20, at: 0) }
}

/// An open file of a share. Calls about it may be under way together.
protocol ShareFile: Sendable {
  /// Fewer bytes only at the end of the file.
  func read(_ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8]

  /// Durable only after `sync`. When it fails, any part may have been written.
  func write(_ bytes: [UInt8], at offset: Int64) async throws(StorageError)

  /// Makes what was written durable, all of it: what the server has lost since makes it throw.
  func sync() async throws(StorageError)

  /// Waits for what is under way on it. Nothing can be done with it afterwards.
  func close() async throws(StorageError)
}
