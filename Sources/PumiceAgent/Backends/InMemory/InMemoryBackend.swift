public import PumiceModel
public import PumiceWire

/// Volumes that are entries of a dictionary: for simulations, tests and a fleet on a laptop.
///
/// It keeps nothing itself: everything is on its disk. It knows no time and starts no tasks, so that a run can be repeated
/// exactly.
public struct InMemoryBackend: VolumeBackend {
  /// Awaited with a name before each step that changes something, and after the last: `ensure`, `ensure.begun`,
  /// `ensure.done`, `remove`, `remove.begun`, `remove.done`, `volumes`, `volume`. To delay, to fail, to crash.
  public typealias Fault = @Sendable (_ step: String) async throws(StorageError) -> Void

  public let name: String
  public let disk: InMemoryDisk
  private let isThin: Bool
  private let reservedPercentage: Int
  private let maxOverSubscriptionRatio: Double
  private let capabilities: [String: [String]]
  private let fault: Fault?

  /// Erases what a crash has left on the disk.
  public init(
    name: String, disk: InMemoryDisk, isThin: Bool = true, reservedPercentage: Int = 0,
    maxOverSubscriptionRatio: Double = 10, capabilities: [String: [String]] = [:], fault: Fault? = nil
  ) {
    self.name = name
    self.disk = disk
    self.isThin = isThin
    self.reservedPercentage = reservedPercentage
    self.maxOverSubscriptionRatio = maxOverSubscriptionRatio
    let reported = [
      "storage_protocol": ["memory"], "volume_backend_name": [name], "vendor_name": ["Pumice"], "driver": ["memory"],
      "driver_version": ["1.0"], "thin_provisioning_support": [isThin ? "True" : "False"],
      "thick_provisioning_support": [isThin ? "False" : "True"], "online_extend_support": ["True"],
      "multiattach": ["False"], "QoS_support": ["False"],
    ]
    self.capabilities = reported.merging(capabilities) { _, configured in configured }
    self.fault = fault
    for (id, entry) in disk.entries where !entry.isWhole { disk.erase(id, pool: entry.pool, givesSpace: !isThin) }
  }

  public func pools() async -> [PoolReport] {
    disk.pools.sorted { $0.key < $1.key }.map { pool, total in
      PoolReport(
        backend: name, pool: pool, total: total, free: disk.free(pool) ?? .zero, isThin: isThin,
        reservedPercentage: reservedPercentage, maxOverSubscriptionRatio: isThin ? maxOverSubscriptionRatio : 1,
        capabilities: capabilities)
    }
  }

  public func volumes() async throws(StorageError) -> [StoredVolume] {
    try await reach("volumes")
    return disk.entries.compactMap { id, entry in entry.isWhole ? stored(id, entry) : nil }
  }

  public func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? {
    try await reach("volume")
    return disk.entry(id).flatMap { $0.isWhole ? stored(id, $0) : nil }
  }

  public func ensure(_ id: VolumeID, _ request: VolumeRequest) async throws(StorageError) -> Work<StoredVolume> {
    try await reach("ensure")
    try require(pool: request.pool)
    guard request.size > .zero else {
      throw .invalid("size", "of volume \(id) must be positive; it is \(request.size).")
    }
    try disk.begin(id, request, takesSpace: !isThin)
    try await reach("ensure.begun")
    disk.finish(id, request, takesSpace: !isThin)
    try await reach("ensure.done")
    guard let entry = disk.entry(id), entry.isWhole else {
      throw StorageError(.failed, "Volume \(id) was made on pool \(request.pool), but it is not there afterwards.")
    }
    return .done(stored(id, entry))
  }

  public func remove(_ id: VolumeID, pool: String) async throws(StorageError) -> Progress {
    try await reach("remove")
    try require(pool: pool)
    disk.unmake(id, pool: pool)
    try await reach("remove.begun")
    disk.erase(id, pool: pool, givesSpace: !isThin)
    try await reach("remove.done")
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

  /// What `InMemoryExporter` finds behind a path.
  static func path(_ backend: String, _ id: VolumeID) -> String { "memory:\(backend)/volume-\(id)" }

  private func stored(_ id: VolumeID, _ entry: InMemoryDisk.Entry) -> StoredVolume {
    StoredVolume(
      id: id, pool: entry.pool, size: entry.size, revision: entry.revision, path: Self.path(name, id),
      description: entry.description)
  }

  private func require(pool: String) throws(StorageError) {
    guard disk.pools[pool] != nil else {
      throw StorageError(
        .notFound, "Backend \(name) has no pool \(pool); it has \(disk.pools.keys.sorted().joined(separator: ", ")).")
    }
  }

  private func reach(_ step: String) async throws(StorageError) {
    if let fault { try await fault(step) }
  }
}
