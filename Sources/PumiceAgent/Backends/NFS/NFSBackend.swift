package import Logging
public import PumiceModel
public import PumiceWire
import Synchronization

/// Volumes as image files on NFS shares, each with a JSON file beside it that describes it. Each share is a pool.
///
/// A share whose server is away makes its own pool down; the other shares are served. It is asked anew with each call, and
/// each answer is waited for no longer than the configured timeout; where the whole node waits, for some seconds.
public struct NFSBackend: ImageBackend {
  public let name: String
  private let configuration: NFSBackendConfiguration
  let shares: [NFSPool]
  private let logger: Logger
  private let owner: ShareOwner
  /// Those that nobody has reached since the start.
  private let newcomers: Newcomers

  /// Several QEMUs can write to one raw file, and to no file with tables in it.
  public var allowsMultiattach: Bool { configuration.format == .raw }

  /// Opens the shares from a process that shares no mounts with others of its parts.
  package static func open(
    _ configuration: NFSBackendConfiguration, of node: NodeName, logger: Logger
  ) async throws(StorageError) -> NFSBackend {
    try await open(configuration, of: node, mounts: ShareMounts(), logger: logger)
  }

  /// Asks no share for anything: a server that is away shall not hold up the agent. With the first call that reaches a share, it
  /// becomes this backend's, and what crashes have left there is erased.
  ///
  /// Throws `invalid` for a configuration that can't work.
  ///
  /// - Parameters:
  ///   - node: Whose backend it is.
  ///   - mounts: Where the node's shares are mounted.
  static func open(
    _ configuration: NFSBackendConfiguration, of node: NodeName, mounts: ShareMounts, logger: Logger,
    settings: ShareVolumes.Settings = ShareVolumes.Settings(), fault: LibnfsFolder.Fault? = nil
  ) async throws(StorageError) -> NFSBackend {
    try configuration.validate()
    var pools: [NFSPool] = []
    for share in configuration.shares {
      var settings = settings
      settings.format = configuration.format
      settings.thick = configuration.provisioning == .thick
      pools.append(
        NFSPool(
          name: try NFSShare(share.share).poolName,
          access: try configuration.access(to: share, mounts: mounts, fault: fault),
          settings: settings, options: share.options))
    }
    return NFSBackend(
      name: configuration.name, configuration: configuration, shares: pools, logger: logger,
      owner: ShareOwner(node: node, backend: configuration.name), newcomers: Newcomers(pools.map(\.name)))
  }

  public func pools() async -> [PoolReport] {
    await withTaskGroup(of: (Int, PoolReport).self) { group in
      for (index, pool) in shares.enumerated() { group.addTask { (index, await report(pool)) } }
      var reports: [Int: PoolReport] = [:]
      for await (index, report) in group { reports[index] = report }
      return reports.sorted { $0.key < $1.key }.map(\.value)
    }
  }

  public func volumes() async throws(StorageError) -> [StoredVolume] {
    try await descriptions().map { stored($1, on: $0) }.sorted { $0.id < $1.id }
  }

  public func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? {
    var failure: StorageError?
    for pool in shares.filter({ !$0.patience.isExhausted }) + shares.filter(\.patience.isExhausted) {
      do throws(StorageError) {
        if let volume = try await volumes(on: pool).volume(id) { return stored(volume, on: pool) }
      } catch {
        // It may be on another share, which is there.
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    return nil
  }

  public func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<StoredVolume> {
    let pool = try pool(request.pool)
    return try await volumes(on: pool).ensure(id, request, use).map { stored($0, on: pool) }
  }

  public func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try await volumes(on: try self.pool(pool)).remove(id)
  }

  public func snapshots() async throws(StorageError) -> [StoredSnapshot] {
    try await descriptions().flatMap { pool, volume in
      volume.snapshots.map { stored($0, of: volume.id, on: pool) }
    }.sorted { $0.id < $1.id }
  }

  public func ensureSnapshot(
    _ id: SnapshotID, _ request: SnapshotRequest, inUse: Bool
  ) async throws(StorageError) -> Work<StoredSnapshot> {
    let pool = try pool(request.pool)
    return try await volumes(on: pool).ensureSnapshot(id, request, inUse: inUse).map {
      stored($0, of: request.volume, on: pool)
    }
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool
  ) async throws(StorageError) -> Progress {
    try await removeSnapshot(id, of: volume, pool: pool, inUse: inUse, mayAsk: true)
  }

  public func removeSnapshot(
    _ id: SnapshotID, of volume: VolumeID, pool: String, inUse: Bool, mayAsk: Bool
  ) async throws(StorageError) -> Progress {
    try await volumes(on: try self.pool(pool)).removeSnapshot(id, of: volume, inUse: inUse, mayAsk: mayAsk)
  }

  public func revert(_ id: VolumeID, _ request: RevertRequest) async throws(StorageError) -> Work<StoredVolume> {
    let pool = try pool(request.pool)
    return .done(stored(try await volumes(on: pool).revert(id, request), on: pool))
  }

  public func image(of id: VolumeID, pool: String, inUse: Bool) async throws(StorageError) -> SharedImage {
    let pool = try self.pool(pool)
    let volumes = try await volumes(on: pool)
    let volume = try await volumes.image(id, inUse: inUse)
    var image = SharedImage(
      share: pool.name, layers: volume.image, user: configuration.user, group: configuration.group,
      mountOptions: pool.options)
    image.next = volume.offeredImage
    if try await volumes.isMerged(volume) { image.isMerged = true }
    return image
  }

  public func adopt(_ id: VolumeID, pool: String, generation: Int) async throws(StorageError) {
    try await volumes(on: try self.pool(pool)).adopt(id, generation: generation)
  }

  public func decline(_ id: VolumeID, pool: String, generation: Int) async throws(StorageError) {
    try await volumes(on: try self.pool(pool)).decline(id, generation: generation)
  }

  public func release(_ id: VolumeID, pool: String, inUse: Bool) async throws(StorageError) -> Progress {
    try await volumes(on: try self.pool(pool)).release(id, inUse: inUse)
  }

  // MARK: Parts

  private func volumes(on pool: NFSPool) async throws(StorageError) -> ShareVolumes {
    let volumes = try await pool.volumes()
    try await newcomers.greet(pool.name) { () async throws(StorageError) in
      try await owner.claim(volumes.folder)
      let swept = try await volumes.sweep()
      if !swept.isEmpty {
        logger.notice(
          "leavings erased", metadata: ["backend.name": "\(name)", "pool": "\(pool.name)", "files": "\(swept)"])
      }
    }
    return volumes
  }

  private func pool(_ name: String) throws(StorageError) -> NFSPool {
    guard let pool = shares.first(where: { $0.name == name }) else {
      let names = shares.map(\.name).joined(separator: ", ")
      throw StorageError(.notFound, "Backend \(self.name) has no pool \(name); it has \(names).")
    }
    return pool
  }

  private func descriptions() async throws(StorageError) -> [(NFSPool, NFSVolume)] {
    var descriptions: [(NFSPool, NFSVolume)] = []
    for pool in shares {
      let attempt = "Listing the volumes on \(pool.name)"
      try pool.patience.requireAnswers(attempt)
      let found = try await pool.listing.ask(within: pool.settings.listing, attempt) {
        () async throws(StorageError) -> [NFSVolume] in
        try await volumes(on: pool).all()
      }
      descriptions += found.filter(\.isWhole).map { (pool, $0) }
    }
    return descriptions
  }

  private func report(_ pool: NFSPool) async -> PoolReport {
    let isThin = configuration.provisioning == .thin
    var report = PoolReport(
      backend: name, pool: pool.name, total: .zero, free: .zero, isThin: isThin,
      reservedPercentage: configuration.reservedPercentage,
      maxOverSubscriptionRatio: isThin ? configuration.maxOverSubscriptionRatio : 1, capabilities: capabilities)
    do throws(StorageError) {
      (report.total, report.free) = try await pool.patience.ask(
        within: pool.settings.patience, "Reading the free space of \(pool.name)"
      ) { () async throws(StorageError) -> (ByteCount, ByteCount) in
        try await volumes(on: pool).folder.capacity()
      }
    } catch {
      report.downReason = error.message
    }
    return report
  }

  private func stored(_ volume: NFSVolume, on pool: NFSPool) -> StoredVolume {
    StoredVolume(
      id: volume.id, pool: pool.name, size: volume.size, revision: max(volume.revision, volume.reverted ?? 0),
      path: "\(pool.name)/\(FileNames(volume.id).data)",
      description: VolumeDescription(
        name: volume.name, project: volume.project, type: volume.type, metadata: volume.metadata),
      isMultiattach: volume.multiattach == true)
  }

  private func stored(_ snapshot: NFSVolume.Snapshot, of volume: VolumeID, on pool: NFSPool) -> StoredSnapshot {
    StoredSnapshot(
      id: snapshot.id, of: volume, pool: pool.name, size: snapshot.size, revision: snapshot.revision,
      description: VolumeDescription(
        name: snapshot.name, project: snapshot.project, type: snapshot.type, metadata: snapshot.metadata))
  }

  private var capabilities: [String: [String]] {
    let isThin = configuration.provisioning == .thin
    let reported = [
      "storage_protocol": ["NFS"], "volume_backend_name": [name], "vendor_name": ["Pumice"], "driver": ["nfs"],
      "driver_version": ["1.0"], "thin_provisioning_support": [isThin ? "True" : "False"],
      "thick_provisioning_support": [isThin ? "False" : "True"], "online_extend_support": ["True"],
      "QoS_support": ["False"],
    ]
    return reported.merging(configuration.capabilities) { _, configured in configured }
  }
}

extension NFSBackendConfiguration {
  /// Whether the kernel is to mount the share.
  func isMounted(_ share: Share) -> Bool {
    switch share.access ?? access {
    case .auto: KernelNFS.isThere
    case .libnfs: false
    case .mount: true
    }
  }

  func access(
    to share: Share, mounts: ShareMounts, fault: LibnfsFolder.Fault? = nil
  ) throws(StorageError) -> any ShareAccess {
    guard isMounted(share) else {
      let settings = LibnfsSettings(user: user, group: group, deadline: .seconds(timeout))
      return LibnfsShareAccess(
        access: LibnfsAccess(try NFSShare(share.share), settings), allowsEverybody: share.allowEverybody, fault: fault)
    }
    let parsed = try NFSShare(share.share)
    // It stays mounted for as long as there is the backend.
    mounts.keep(parsed)
    return MountedShareAccess(
      mount: mounts.share(parsed),
      settings: MountedFolder.Settings(
        options: try NFSMountOptions(share.options), allowsEverybody: share.allowEverybody,
        owner: .init(user: user, group: group)))
  }
}

/// Which pools have not been reached since the start. Nothing is done with one before that has ended.
private final class Newcomers: Sendable {
  private let names: Mutex<Set<String>>
  private let lock = KeyedLock<String>()

  init(_ names: [String]) { self.names = Mutex(Set(names)) }

  func greet(_ name: String, _ body: () async throws(StorageError) -> Void) async throws(StorageError) {
    guard names.withLock({ $0.contains(name) }) else { return }
    try await lock.withLock(name) { () async throws(StorageError) in
      guard names.withLock({ $0.contains(name) }) else { return }
      try await body()
      _ = names.withLock { $0.remove(name) }
    }
  }
}
