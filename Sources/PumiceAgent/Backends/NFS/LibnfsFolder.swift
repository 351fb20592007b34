import PumiceModel

/// The folder that a share is, through libnfs: the calls of `VolumeFolder`, which is its like for a folder of this machine.
///
/// What makes, grows, renames or deletes a name is durable when it returns. It lives as long as its session.
struct LibnfsFolder: Sendable {
  /// Called before every step that changes something; a test ends the call there.
  typealias Fault = @Sendable (_ step: String) throws(StorageError) -> Void

  private let session: LibnfsSession
  private let fault: Fault?

  /// Throws `forbidden` when everybody may write to the share, unless told that this is wanted.
  init(_ session: LibnfsSession, allowsEverybody: Bool = false, fault: Fault? = nil) async throws(StorageError) {
    self.session = session
    self.fault = fault
    guard let root = try await session.status(of: .root) else {
      throw StorageError(.unavailable, "Reading the permissions of \(session.share) failed: it has no root.")
    }
    guard allowsEverybody || root.mode & 0o002 == 0 else {
      throw StorageError(
        .forbidden, "The share \(session.share) is writable by everybody. Take that away on the server with: chmod o-w")
    }
  }

  func path(of name: String) -> String { "\(name) on \(session.share)" }

  /// What a regular file is like; `nil` if there is no such name.
  func status(of name: String) async throws(StorageError) -> VolumeFolder.FileStatus? {
    guard let status = try await session.status(of: try NFSPath(name)) else { return nil }
    guard status.kind == .file else {
      throw StorageError(.conflict, "\(path(of: name)) is not a regular file, so it can't be a volume.")
    }
    return VolumeFolder.FileStatus(
      size: status.size, allocated: status.allocated, inode: status.inode, changed: status.changed)
  }

  func names() async throws(StorageError) -> [String] { try await session.names(in: .root) }

  /// Makes an empty file. Throws `conflict` when there is one.
  func create(_ name: String) async throws(StorageError) {
    try reach("create")
    try await session.create(try NFSPath(name)).close()
  }

  /// Makes a file larger, with zeros that take no space; never smaller.
  func grow(_ name: String, to size: ByteCount) async throws(StorageError) {
    try await withFile(name) { file throws(StorageError) in
      guard try await file.status().size < size else { return }
      try reach("truncate")
      try await file.truncate(to: size)
    }
  }

  /// Makes the content of a file durable, as far as the server still has it in its memory.
  func sync(_ name: String) async throws(StorageError) {
    try await withFile(name) { file throws(StorageError) in
      try reach("sync")
      try await file.sync()
    }
  }

  /// Writes a small file. When it fails, nothing is left of it, or what is left is no more than a temporary file's name should
  /// hold: the server may be away.
  func write(_ bytes: [UInt8], to name: String) async throws(StorageError) {
    try await remove(name)
    try await create(name)
    do throws(StorageError) {
      try await withFile(name) { file throws(StorageError) in
        try reach("write")
        try await file.write(bytes, at: 0)
        try reach("sync")
        try await file.sync()
      }
    } catch {
      try? await remove(name)
      throw error
    }
  }

  /// Reads a small file (up to 1 MiB); `nil` if there is no such name.
  func read(_ name: String) async throws(StorageError) -> [UInt8]? {
    do throws(StorageError) {
      return try await withFile(name) { file throws(StorageError) in try await file.read(1 << 20, at: 0) }
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }

  func rename(_ name: String, to newName: String) async throws(StorageError) {
    try reach("rename")
    try await session.rename(try NFSPath(name), to: try NFSPath(newName))
  }

  /// Takes a name and its bytes away; content if it is not there.
  func remove(_ name: String) async throws(StorageError) {
    try reach("remove")
    do throws(StorageError) {
      try await session.remove(try NFSPath(name))
    } catch {
      if error.code != .notFound { throw error }
    }
  }

  func capacity() async throws(StorageError) -> (total: ByteCount, free: ByteCount) { try await session.capacity() }

  private func withFile<Value>(
    _ name: String, _ body: (LibnfsFile) async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let file = try await session.open(try NFSPath(name))
    let value: Value
    do throws(StorageError) {
      value = try await body(file)
    } catch {
      try? await file.close()
      throw error
    }
    try await file.close()
    return value
  }

  private func reach(_ step: String) throws(StorageError) { try fault?(step) }
}
