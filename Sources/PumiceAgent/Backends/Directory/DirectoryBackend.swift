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

  /// Checks the folder and erases what crashes have left in it.
  ///
  /// Throws `invalid` for a configuration that can't work, `missingPart` or `forbidden` for a folder that does not exist,
  /// is a symbolic link, or is writable by everybody; the message says what to do.
  public static func open(
    _ configuration: DirectoryBackendConfiguration, logger: Logger
  ) async throws(StorageError) -> DirectoryBackend {
    try configuration.validate()
    let backend = DirectoryBackend(configuration, logger: logger)
    let erased = try await backend.inFolder { folder throws(StorageError) in try folder.sweep() }
    if !erased.isEmpty {
      logger.notice("leavings erased", metadata: ["backend.name": "\(backend.name)", "files": "\(erased)"])
    }
    return backend
  }

  private init(_ configuration: DirectoryBackendConfiguration, logger: Logger) {
    name = configuration.name
    self.configuration = configuration
    self.logger = logger
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
    let path = configuration.path
    let entries = try await inFolder { folder throws(StorageError) in try folder.volumes() }
    return entries.map { stored($0, in: path) }
  }

  public func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? {
    let path = configuration.path
    return try await inFolder { folder throws(StorageError) in try folder.volume(id) }.map { stored($0, in: path) }
  }

  public func ensure(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Work<StoredVolume> {
    try require(pool: request.pool)
    let thick = configuration.provisioning == .thick
    let now = Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000))
    let entry = try await inFolder { folder throws(StorageError) in
      try folder.ensure(id, request, thick: thick, now: now)
    }
    return .done(stored(entry, in: configuration.path))
  }

  public func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try require(pool: pool)
    try await inFolder { folder throws(StorageError) in try folder.erase(id) }
    return .complete
  }

  public func snapshots() async throws(StorageError) -> [StoredSnapshot] { [] }

  public func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    throw StorageError(.unsupported, "Backend \(name) can't take snapshots yet.")
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String
  ) async throws(StorageError) -> Progress { .complete }

  public func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    throw StorageError(.unsupported, "Backend \(name) can't revert volumes yet.")
  }

  private func inFolder<Value: Sendable>(
    _ body: @escaping @Sendable (borrowing VolumeFolder) throws(StorageError) -> Value
  ) async throws(StorageError) -> Value {
    let path = configuration.path
    return try await BlockingCalls.run { () throws(StorageError) in try body(try VolumeFolder(path: path)) }
  }

  private func require(pool: String) throws(StorageError) {
    guard pool == name else {
      throw StorageError(.notFound, "Backend \(name) has no pool \(pool); its only pool is \(name).")
    }
  }

  private func stored(_ entry: VolumeFolder.Entry, in folder: String) -> StoredVolume {
    let path = "\(folder)/\(VolumeFileNames(entry.id).data)"
    if entry.sidecar == nil {
      logger.error(
        "volume without a readable description",
        metadata: ["backend.name": "\(name)", "volume.id": "\(entry.id)", "volume.path": "\(path)"])
    }
    return StoredVolume(
      id: entry.id, pool: name, size: entry.size, revision: entry.sidecar?.revision ?? 0, path: path,
      description: entry.sidecar?.description ?? VolumeDescription(name: "", project: "", type: ""))
  }

  private var capabilities: [String: [String]] {
    let isThin = configuration.provisioning == .thin
    let reported = [
      "storage_protocol": ["iSCSI"], "volume_backend_name": [name], "vendor_name": ["Pumice"],
      "driver": ["directory"], "driver_version": ["1.0"], "thin_provisioning_support": [isThin ? "True" : "False"],
      "thick_provisioning_support": [isThin ? "False" : "True"], "online_extend_support": ["True"],
      "multiattach": ["False"], "QoS_support": ["False"],
    ]
    return reported.merging(configuration.capabilities) { _, configured in configured }
  }
}
