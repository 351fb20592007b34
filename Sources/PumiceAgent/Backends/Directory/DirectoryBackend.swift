import FoundationEssentials
public import Logging
public import PumiceModel
public import PumiceWire

/// Volumes as raw files in a folder, each with a JSON file beside it that describes it.
///
/// The folder is one pool, named like the backend. Every change is on disk, its name included, before a call returns. All
/// file work runs on threads of its own.
public struct DirectoryBackend: VolumeBackend {
  public let name: String
  private let configuration: DirectoryBackendConfiguration
  private let logger: Logger
  private let slice: CopySlice
  private let fault: VolumeFolder.Fault?
  /// A few seconds of work for each, four at a time: all have had theirs before a caller gives up.
  private let copies = Turnstile(limit: 16)

  /// Checks the folder and erases what crashes have left in it.
  ///
  /// Throws `invalid` for a configuration that can't work, `missingPart` or `forbidden` for a folder that does not exist,
  /// is a symbolic link, or is writable by everybody; the message says what to do.
  public static func open(
    _ configuration: DirectoryBackendConfiguration, logger: Logger
  ) async throws(StorageError) -> DirectoryBackend {
    try await open(configuration, logger: logger, slice: CopySlice())
  }

  static func open(
    _ configuration: DirectoryBackendConfiguration, logger: Logger, slice: CopySlice, fault: VolumeFolder.Fault? = nil
  ) async throws(StorageError) -> DirectoryBackend {
    try configuration.validate()
    let backend = DirectoryBackend(configuration, logger: logger, slice: slice, fault: fault)
    let erased = try await backend.inFolder { folder throws(StorageError) in try folder.sweep() }
    if !erased.isEmpty {
      logger.notice("leavings erased", metadata: ["backend.name": "\(backend.name)", "files": "\(erased)"])
    }
    return backend
  }

  private init(
    _ configuration: DirectoryBackendConfiguration, logger: Logger, slice: CopySlice, fault: VolumeFolder.Fault?
  ) {
    name = configuration.name
    self.configuration = configuration
    self.logger = logger
    self.slice = slice
    self.fault = fault
  }

  public func pools() async -> [PoolReport] {
    let isThin = configuration.provisioning == .thin
    var report = PoolReport(
      backend: name, pool: name, total: .zero, free: .zero, isThin: isThin,
      reservedPercentage: configuration.reservedPercentage,
      maxOverSubscriptionRatio: isThin ? configuration.maxOverSubscriptionRatio : 1, capabilities: capabilities)
    do throws(StorageError) {
      let bytes = try await inFolder { folder throws(StorageError) in
        let (total, free) = try folder.capacity()
        return [total, free]
      }
      (report.total, report.free) = (bytes[0], bytes[1])
    } catch {
      report.downReason = error.message
    }
    return [report]
  }

  public func volumes() async throws(StorageError) -> [StoredVolume] {
    try await inFolder { folder throws(StorageError) in try folder.volumes() }.map(stored)
  }

  public func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? {
    try await inFolder { folder throws(StorageError) in try folder.volume(id) }.map(stored)
  }

  public func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<StoredVolume> {
    try require(pool: request.pool)
    let (isThick, now, slice) = (isThick, Self.now, slice)
    return try await inFolder(takesLong: request.source != nil) { folder throws(StorageError) in
      try folder.ensure(id, request, sourceInUse: use.ofSource, thick: isThick, now: now, slice)
    }.map(stored)
  }

  public func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try require(pool: pool)
    try await inFolder { folder throws(StorageError) in try folder.remove(id) }
    return .complete
  }

  public func snapshots() async throws(StorageError) -> [StoredSnapshot] {
    try await inFolder { folder throws(StorageError) in try folder.snapshots() }.map(stored)
  }

  public func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    try require(pool: request.pool)
    let (isThick, now, slice) = (isThick, Self.now, slice)
    return try await inFolder(takesLong: true) { folder throws(StorageError) in
      try folder.ensureSnapshot(id, request, inUse: inUse, thick: isThick, now: now, slice)
    }.map(stored)
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool
  ) async throws(StorageError) -> Progress {
    try require(pool: pool)
    try await inFolder { folder throws(StorageError) in try folder.removeSnapshot(id, of: volume) }
    return .complete
  }

  public func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    try require(pool: request.pool)
    let (isThick, slice) = (isThick, slice)
    return try await inFolder(takesLong: true) { folder throws(StorageError) in
      try folder.revert(id, request, thick: isThick, slice)
    }.map(stored)
  }

  private func inFolder<Value: Sendable>(
    takesLong: Bool = false, _ body: @escaping @Sendable (borrowing VolumeFolder) throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let (path, fault) = (configuration.path, fault)
    let work: @Sendable () throws(StorageError) -> Value = { () throws(StorageError) in
      try body(try VolumeFolder(path: path, fault: fault))
    }
    guard takesLong else { return try await BlockingCalls.run(work) }
    return try await copies.pass { () async throws(StorageError) in try await BlockingCalls.runLong(work) }
  }

  private func require(pool: String) throws(StorageError) {
    guard pool == name else {
      throw StorageError(.notFound, "Backend \(name) has no pool \(pool); its only pool is \(name).")
    }
  }

  private func stored(_ entry: VolumeFolder.Entry) -> StoredVolume {
    let path = "\(configuration.path)/\(FileNames(entry.id).data)"
    if entry.sidecar == nil { logDescriptionMissing(["volume.id": "\(entry.id)", "volume.path": "\(path)"]) }
    return StoredVolume(
      id: entry.id, pool: name, size: entry.size, revision: entry.revision, path: path,
      description: entry.sidecar?.description ?? VolumeDescription(name: "", project: "", type: ""))
  }

  private func stored(_ entry: VolumeFolder.SnapshotEntry) -> StoredSnapshot {
    if entry.sidecar == nil {
      logDescriptionMissing(["snapshot.id": "\(entry.id)", "volume.id": "\(entry.volume)"])
    }
    return StoredSnapshot(
      id: entry.id, of: entry.volume, pool: name, size: entry.size, revision: entry.sidecar?.revision ?? 0,
      description: entry.sidecar?.description ?? VolumeDescription(name: "", project: "", type: ""))
  }

  private func logDescriptionMissing(_ metadata: Logger.Metadata) {
    logger.error(
      "no readable description", metadata: metadata.merging(["backend.name": "\(name)"]) { first, _ in first })
  }

  private var isThick: Bool { configuration.provisioning == .thick }

  private static var now: Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }

  private var capabilities: [String: [String]] {
    let isThin = configuration.provisioning == .thin
    let reported = [
      "storage_protocol": ["iSCSI"], "volume_backend_name": [name], "vendor_name": ["Pumice"],
      "driver": ["directory"], "driver_version": ["1.0"], "thin_provisioning_support": [isThin ? "True" : "False"],
      "thick_provisioning_support": [isThin ? "False" : "True"], "online_extend_support": ["True"],
      "QoS_support": ["False"],
    ]
    return reported.merging(configuration.capabilities) { _, configured in configured }
  }
}
