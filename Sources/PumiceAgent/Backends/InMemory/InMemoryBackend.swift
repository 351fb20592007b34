public import PumiceModel
public import PumiceWire

/// Volumes that are entries of a dictionary: for simulations, tests and a fleet on a laptop.
///
/// It keeps nothing itself: everything is on its disk. It knows no time and starts no tasks, so that a run can be repeated
/// exactly.
public struct InMemoryBackend: VolumeBackend {
  /// Awaited with a name before each step that changes something, and after the last: `ensure`, `ensure.begun`,
  /// `ensure.done`, and likewise for `remove`, `ensureSnapshot`, `removeSnapshot` and `revert`; `volumes`, `volume`,
  /// `snapshots`. To delay, to fail, to crash.
  public typealias Fault = @Sendable (_ step: String) async throws(StorageError) -> Void

  public let name: String
  public let disk: InMemoryDisk
  let isThin: Bool
  private let reservedPercentage: Int
  private let maxOverSubscriptionRatio: Double
  private let capabilities: [String: [String]]
  let slices: Int
  private let fault: Fault?

  public var allowsMultiattach: Bool { true }

  /// Erases what a crash has left on the disk.
  ///
  /// - Parameter slices: How many calls it takes to copy, to revert or to wipe; all but the last answer `underway`.
  public init(
    name: String, disk: InMemoryDisk, isThin: Bool = true, reservedPercentage: Int = 0,
    maxOverSubscriptionRatio: Double = 10, capabilities: [String: [String]] = [:], slices: Int = 1,
    fault: Fault? = nil
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
      "QoS_support": ["False"],
    ]
    self.capabilities = reported.merging(capabilities) { _, configured in configured }
    self.slices = slices
    self.fault = fault
    disk.sweep(givesSpace: !isThin)
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

  public func ensure(
    _ id: VolumeID, _ request: VolumeRequest, _ use: VolumeUse
  ) async throws(StorageError) -> Work<StoredVolume> {
    try await reach("ensure")
    try require(pool: request.pool)
    guard request.size > .zero else {
      throw .invalid("size", "of volume \(id) must be positive; it is \(request.size).")
    }
    try disk.begin(id, request, takesSpace: !isThin)
    try await reach("ensure.begun")
    if let source = request.source, disk.entry(id)?.isWhole == false,
      let progress = disk.advance(.copy(id, source), slices: slices)
    {
      return .underway(progress)
    }
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
    guard disk.entry(id)?.pool == pool else { return .complete }
    try disk.unmake(id, pool: pool)
    try await reach("remove.begun")
    if let progress = disk.advance(.removal(id), slices: slices) { return progress }
    disk.erase(id, pool: pool, givesSpace: !isThin)
    try await reach("remove.done")
    return .complete
  }

  /// What `InMemoryExporter` finds behind a path.
  static func path(_ backend: String, _ id: VolumeID) -> String { "memory:\(backend)/volume-\(id)" }

  func stored(_ id: VolumeID, _ entry: InMemoryDisk.Entry) -> StoredVolume {
    StoredVolume(
      id: id, pool: entry.pool, size: entry.size, revision: entry.revision, path: Self.path(name, id),
      description: entry.description, isMultiattach: entry.isMultiattach)
  }

  func require(pool: String) throws(StorageError) {
    guard disk.pools[pool] != nil else {
      throw StorageError(
        .notFound, "Backend \(name) has no pool \(pool); it has \(disk.pools.keys.sorted().joined(separator: ", ")).")
    }
  }

  func reach(_ step: String) async throws(StorageError) {
    if let fault { try await fault(step) }
  }
}
