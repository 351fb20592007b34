import Glibc
import PumiceModel

/// The folder that a share is, where it is mounted.
///
/// Every call goes to the mount and to nothing else, on a thread of its own, and ends by a deadline. One that finds the share
/// unmounted, or mounted from a server that has forgotten it, has it mounted first.
struct MountedFolder: ShareFolder {
  struct Settings: Sendable {
    var options: NFSMountOptions
    /// Whether a share that everybody may write to is wanted.
    var allowsEverybody = false
    /// Whose new files shall be; where the server takes root for nobody, they stay nobody's.
    var owner: VolumeFolder.NewFiles.Owner?

    fileprivate var newFiles: VolumeFolder.NewFiles { .init(mode: 0o660, owner: owner) }
  }

  /// Some servers write zeros for it, and no call may take long.
  private static let allocationStep: Int64 = 4 << 30

  private let mount: MountedShare
  private let settings: Settings

  /// For a share that is mounted already, or will be when it is asked for something.
  init(_ mount: MountedShare, _ settings: Settings) {
    self.mount = mount
    self.settings = settings
  }

  /// When it returns, the share is mounted, and can be written to.
  ///
  /// Throws `forbidden` when everybody may write to it, unless told that this is wanted; and when the server lets this node
  /// read only.
  static func open(_ mount: MountedShare, _ settings: Settings) async throws(StorageError) -> MountedFolder {
    let folder = MountedFolder(mount, settings)
    let kind = try await mount.ensureMounted(settings.options)
    guard !kind.isReadOnly else {
      throw StorageError(.forbidden, "\(mount.share) is mounted read-only at \(mount.mountPoint).")
    }
    try await folder.run("Asking who may write to \(mount.share)") { folder throws(StorageError) in
      // The server is asked, not the mode alone: ACCESS of RFC 1813, 3.3.4.
      if faccessat(folder.descriptor, ".", W_OK | X_OK, 0) == 0 { return }
      guard [EACCES, EPERM, EROFS].contains(errno) else {
        throw VolumeFolder.error("Asking who may write to \(folder.path)")
      }
      throw StorageError(
        .forbidden,
        "The share \(mount.share) can't be written to: its server exports it read-only, or takes this user for another who "
          + "may not (root_squash). See exports(5) there.")
    }
    return folder
  }

  func path(of name: String) -> String { "\(mount.mountPoint)/\(name)" }

  func status(of name: String) async throws(StorageError) -> FileStatus? {
    try await onFile(name, "Reading the size of") { folder throws(StorageError) in try folder.status(of: name) }
  }

  func files() async throws(StorageError) -> [String: FileStatus] {
    try await run("Listing \(mount.share)") { folder throws(StorageError) in
      var files: [String: FileStatus] = [:]
      for name in try folder.names() {
        do throws(StorageError) {
          files[name] = try folder.status(of: name)
        } catch {
          // A folder, a link …
          if error.code != .conflict { throw error }
        }
      }
      return files
    }
  }

  func create(_ name: String) async throws(StorageError) {
    try await onFile(name, "Making") { folder throws(StorageError) in try folder.create(name) }
  }

  /// Blocks are taken by ALLOCATE (RFC 7862, 15.1), so by NFS 4.2 only, and where the server's file system has them to give.
  func grow(_ name: String, to size: ByteCount, thick: Bool) async throws(StorageError) {
    let attempt = "Giving \(path(of: name)) a size of \(size)"
    guard let old = try await status(of: name) else {
      throw StorageError(.notFound, "\(attempt) failed: it is not there.")
    }
    guard thick else {
      if size <= old.size { return }
      return try await onFile(name, "Growing") { folder throws(StorageError) in
        try folder.grow(name, to: size, thick: false)
      }
    }
    let free = try await capacity().free
    guard size - old.allocated <= free else {
      throw StorageError(.noSpace, "\(attempt) failed: only \(free) is free on \(mount.share).")
    }
    do throws(StorageError) {
      for begin in stride(from: Int64(0), to: size.bytes, by: Int(Self.allocationStep)) {
        try await onFile(name, "Taking blocks for", within: .seconds(120)) { folder throws(StorageError) in
          try folder.allocate(begin..<min(begin + Self.allocationStep, size.bytes), of: name)
        }
      }
      try await sync(name)
    } catch {
      try await shrink(name, to: old.size)
      guard error.code == .unsupported else { throw error }
      throw StorageError(
        .unsupported,
        "\(attempt), with all its blocks, failed: that takes NFS 4.2 and a server whose file system can allocate. \(mount.share) "
          + "does not; have its volumes thin.")
    }
  }

  func shrink(_ name: String, to size: ByteCount) async throws(StorageError) {
    try await onFile(name, "Shrinking") { folder throws(StorageError) in try folder.shrink(name, to: size) }
  }

  func sync(_ name: String) async throws(StorageError) {
    try await onFile(name, "Writing to disk", unlessMissing: true) { folder throws(StorageError) in
      try folder.sync(name)
    }
  }

  func write(_ bytes: [UInt8], to name: String) async throws(StorageError) {
    try await run(name, "Writing") { folder throws(StorageError) in
      // Never into what is there: it may be a link.
      try folder.remove(name)
      try folder.write(bytes, to: name)
    }
  }

  func write(_ bytes: [UInt8], to name: String, at offset: Int64) async throws(StorageError) {
    try await onFile(name, "Writing", unlessMissing: true) { folder throws(StorageError) in
      try folder.write(bytes, to: name, at: offset)
    }
  }

  func read(_ name: String, _ count: Int, at offset: Int64) async throws(StorageError) -> [UInt8]? {
    try await onFile(name, "Reading") { folder throws(StorageError) in try folder.read(name, count, at: offset) }
  }

  func open(_ name: String) async throws(StorageError) -> any ShareFile {
    let mount = mount
    return try await onFile(name, "Opening", unlessMissing: true) { folder throws(StorageError) in
      MountedFile(try folder.openFile(name, O_RDWR), path: folder.path(of: name), mount)
    }
  }

  func rename(_ name: String, to newName: String) async throws(StorageError) {
    try Self.check(newName)
    try await run(name, "Renaming") { folder throws(StorageError) in try folder.rename(name, to: newName) }
  }

  func remove(_ name: String) async throws(StorageError) {
    try await run(name, "Deleting") { folder throws(StorageError) in try folder.remove(name) }
  }

  func sync() async throws(StorageError) {
    try await run("Writing \(mount.share) to disk") { folder throws(StorageError) in try folder.sync() }
  }

  func capacity() async throws(StorageError) -> (total: ByteCount, free: ByteCount) {
    let bytes = try await run("Reading the free space of \(mount.share)") { folder throws(StorageError) in
      let (total, free) = try folder.capacity()
      return [total, free]
    }
    return (bytes[0], bytes[1])
  }

  /// By CLONE (RFC 7862, 15.13), so by NFS 4.2 only, and where the server's file system can: XFS with `reflink=1`, btrfs, and
  /// those of most appliances.
  func share(_ name: String, as newName: String) async throws(StorageError) -> Bool {
    try Self.check(newName)
    return try await onFile(name, "Sharing the blocks of", within: .seconds(300), unlessMissing: true) {
      folder throws(StorageError) in try folder.share(name, as: newName)
    }
  }

  var canShare: Bool { true }

  func place(of name: String) -> DiskImage.Place { .file(path: path(of: name)) }

  // MARK: The way to the server

  /// - Parameter unlessMissing: Whether to throw `notFound` when there is no such file.
  private func onFile<Value: Sendable>(
    _ name: String, _ attempt: String, within deadline: Duration? = nil, unlessMissing: Bool = false,
    _ body: @escaping @Sendable (borrowing VolumeFolder) throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try await run(name, attempt, within: deadline) { folder throws(StorageError) in
      // What is no regular file is never opened: a FIFO would hold us for good.
      if try folder.status(of: name) == nil, unlessMissing {
        throw StorageError(.notFound, "\(attempt) \(folder.path(of: name)) failed: it is not there.")
      }
      return try body(folder)
    }
  }

  private func run<Value: Sendable>(
    _ name: String, _ attempt: String, within deadline: Duration? = nil,
    _ body: @escaping @Sendable (borrowing VolumeFolder) throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    try Self.check(name)
    return try await run("\(attempt) \(path(of: name))", within: deadline, body)
  }

  private func run<Value: Sendable>(
    _ attempt: String, within deadline: Duration? = nil,
    _ body: @escaping @Sendable (borrowing VolumeFolder) throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    do throws(StorageError) {
      return try await once(attempt, deadline, body)
    } catch {
      // The server has not done it, nor has anybody else.
      guard error.cause is StaleHandle || error.cause is NotMounted else { throw error }
      try await mount.ensureMounted(settings.options)
      return try await once(attempt, deadline, body)
    }
  }

  private func once<Value: Sendable>(
    _ attempt: String, _ deadline: Duration?,
    _ body: @escaping @Sendable (borrowing VolumeFolder) throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let (mount, settings) = (mount, settings)
    return try await mount.calls.run(within: deadline ?? mount.timing.call, attempt) { () throws(StorageError) in
      try body(try mount.open(newFiles: settings.newFiles, allowsEverybody: settings.allowsEverybody))
    }
  }

  private static func check(_ name: String) throws(StorageError) {
    _ = try NFSPath(name)
    guard !name.contains("/") else { throw .invalid("name", "of a file in a share must have no /; it is \"\(name)\".") }
  }
}
