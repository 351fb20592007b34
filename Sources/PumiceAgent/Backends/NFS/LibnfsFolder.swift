import PumiceModel

/// The folder that a share is, through libnfs.
///
/// What makes, grows, renames or deletes a name is durable when it returns. It lives as long as its session.
struct LibnfsFolder: ShareFolder {
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

  func status(of name: String) async throws(StorageError) -> FileStatus? {
    guard let status = try await session.status(of: try NFSPath(name)) else { return nil }
    guard status.kind == .file else {
      throw StorageError(.conflict, "\(path(of: name)) is not a regular file, so it can't be a volume.")
    }
    return FileStatus(status)
  }

  func files() async throws(StorageError) -> [String: FileStatus] {
    try await session.entries(of: .root).compactMapValues { $0.kind == .file ? FileStatus($0) : nil }
  }

  func create(_ name: String) async throws(StorageError) {
    try reach("create")
    try await session.create(try NFSPath(name)).close()
  }

  /// With the file that making it has opened.
  func create(_ name: String, size: ByteCount, thick: Bool) async throws(StorageError) {
    try refuse(thick, name)
    try reach("create")
    let file = try await session.create(try NFSPath(name))
    try await closing(file) { file throws(StorageError) in
      try reach("truncate")
      try await file.truncate(to: size)
    }
  }

  func grow(_ name: String, to size: ByteCount, thick: Bool) async throws(StorageError) {
    try refuse(thick, name)
    try await withFile(name) { file, status throws(StorageError) in
      guard status.size < size else { return }
      try reach("truncate")
      try await file.truncate(to: size)
    }
  }

  /// NFSv3 has no way to ask for blocks.
  private func refuse(_ thick: Bool, _ name: String) throws(StorageError) {
    guard thick else { return }
    throw StorageError(.unsupported, "\(path(of: name)) can't be given all its blocks without a mount of NFS 4.2.")
  }

  func shrink(_ name: String, to size: ByteCount) async throws(StorageError) {
    try await withFile(name) { file, status throws(StorageError) in
      guard status.size > size else { return }
      try reach("truncate")
      try await file.truncate(to: size)
    }
  }

  func sync(_ name: String) async throws(StorageError) {
    try await withFile(name) { file, _ throws(StorageError) in
      try reach("sync")
      try await file.sync()
    }
  }

  /// Writes a small file. When it fails, nothing is left of it, or what is left is no more than a temporary file's name should
  /// hold: the server may be away.
  func write(_ bytes: [UInt8], to name: String) async throws(StorageError) {
    let file = try await createAnew(name)
    do throws(StorageError) {
      try await closing(file) { file throws(StorageError) in
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

  /// Makes an empty file in place of what has its name: most often nothing has.
  private func createAnew(_ name: String) async throws(StorageError) -> LibnfsFile {
    let path = try NFSPath(name)
    do throws(StorageError) {
      try reach("create")
      return try await session.create(path)
    } catch {
      guard error.code == .conflict else { throw error }
      try await remove(name)
      try reach("create")
      return try await session.create(path)
    }
  }

  func write(_ bytes: [UInt8], to name: String, at offset: Int64) async throws(StorageError) {
    try await withFile(name) { file, _ throws(StorageError) in
      try reach("overwrite")
      try await file.write(bytes, at: offset)
      try reach("sync")
      try await file.sync()
    }
  }

  func read(_ name: String, _ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8]? {
    var attempts = 0
    while true {
      do throws(StorageError) {
        return try await withFile(name) { file, status throws(StorageError) in
          let rest = max(0, status.size.bytes - offset)
          return try await file.read(Int(min(Int64(count), rest)), at: offset)
        }
      } catch {
        if error.code == .notFound { return nil }
        // Another file may have taken its name between opening and reading.
        attempts += 1
        guard error.code == .unavailable, session.loss == nil, attempts < 5 else { throw error }
      }
    }
  }

  func open(_ name: String) async throws(StorageError) -> any ShareFile {
    let (file, _) = try await openFile(name)
    guard let fault else { return file }
    return FaultingFile(file: file, fault: fault)
  }

  func rename(_ name: String, to newName: String) async throws(StorageError) {
    try reach("rename")
    try await session.rename(try NFSPath(name), to: try NFSPath(newName))
  }

  func remove(_ name: String) async throws(StorageError) {
    try reach("remove")
    do throws(StorageError) {
      try await session.remove(try NFSPath(name))
    } catch {
      if error.code != .notFound { throw error }
    }
  }

  /// Whatever changes a name is durable already.
  func sync() async throws(StorageError) {}

  func capacity() async throws(StorageError) -> (total: ByteCount, free: ByteCount) { try await session.capacity() }

  var canShare: Bool { false }

  /// NFSv3 knows no shared bytes.
  func share(_ name: String, as newName: String) async throws(StorageError) -> Bool { false }

  func place(of name: String) -> DiskImage.Place {
    .nfs(
      host: session.share.host, path: session.share.path(of: name), user: session.settings.user,
      group: session.settings.group)
  }

  private func withFile<Value>(
    _ name: String, _ body: (LibnfsFile, NFSFileStatus) async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let (file, status) = try await openFile(name)
    return try await closing(file) { file throws(StorageError) in try await body(file, status) }
  }

  private func closing<Value>(
    _ file: LibnfsFile, _ body: (LibnfsFile) async throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
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

  /// For NFSv3, opening says nothing of what it is; a server that was asked to read a FIFO might wait for a writer.
  private func openFile(_ name: String) async throws(StorageError) -> (LibnfsFile, NFSFileStatus) {
    let file = try await session.open(try NFSPath(name))
    do throws(StorageError) {
      let status = try await file.status()
      guard status.kind == .file else {
        throw StorageError(.conflict, "\(path(of: name)) is not a regular file, so it can't be a volume.")
      }
      return (file, status)
    } catch {
      try? await file.close()
      throw error
    }
  }

  private func reach(_ step: String) throws(StorageError) { try fault?(step) }
}

extension VolumeFolder.FileStatus {
  fileprivate init(_ status: NFSFileStatus) {
    self.init(size: status.size, allocated: status.allocated, inode: status.inode, changed: status.changed)
  }
}

/// An open file whose changes can be made to fail.
private struct FaultingFile: ShareFile {
  let file: LibnfsFile
  let fault: LibnfsFolder.Fault

  func read(_ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8] {
    try await file.read(count, at: offset)
  }

  func write(_ bytes: [UInt8], at offset: Int64) async throws(StorageError) {
    try fault("copy")
    try await file.write(bytes, at: offset)
  }

  func sync() async throws(StorageError) {
    try fault("sync")
    try await file.sync()
  }

  func close() async throws(StorageError) { try await file.close() }
}
