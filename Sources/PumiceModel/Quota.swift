/// What a project may have. A limit of -1 is none; a resource without its own limit has the default one.
public struct QuotaSet: Sendable, Equatable, Codable {
  public let project: ProjectID
  /// Keys are Cinder's: `volumes`, `gigabytes`, `per_volume_gigabytes` …, and `volumes_<type>`, `snapshots_<type>`,
  /// `gigabytes_<type>`.
  public var limits: [String: Int]

  public init(project: ProjectID, limits: [String: Int] = [:]) {
    self.project = project
    self.limits = limits
  }

  /// The class whose limits hold for projects without their own.
  public static let defaultClass = "default"

  /// Cinder's defaults.
  public static let defaults: [String: Int] = [
    "volumes": 10, "snapshots": 10, "gigabytes": 1000, "per_volume_gigabytes": -1, "backups": 10,
    "backup_gigabytes": 1000, "groups": 10,
  ]

  public func limit(_ resource: String) -> Int {
    limits[resource] ?? Self.defaults[resource] ?? -1
  }
}

/// What a project has, summed over its rows.
public struct QuotaUsage: Sendable, Equatable {
  public private(set) var volumes = 0
  public private(set) var snapshots = 0
  public var groups = 0
  /// Of volumes and snapshots together.
  public private(set) var gigabytes = 0
  public private(set) var volumesByType: [VolumeTypeID: Int] = [:]
  public private(set) var snapshotsByType: [VolumeTypeID: Int] = [:]
  public private(set) var gigabytesByType: [VolumeTypeID: Int] = [:]

  public init() {}

  public mutating func count(_ volume: Volume) {
    if volume.state != .deleted { count(volume.promisedSize, of: volume.type) }
  }

  /// Counts one volume that is not gone.
  public mutating func count(_ promisedSize: ByteCount, of type: VolumeTypeID) {
    let size = promisedSize.gibibytesRoundedUp
    volumes += 1
    gigabytes += size
    volumesByType[type, default: 0] += 1
    gigabytesByType[type, default: 0] += size
  }

  public mutating func count(_ snapshot: Snapshot) {
    if snapshot.state != .deleted { countSnapshot(snapshot.promisedSize, of: snapshot.type) }
  }

  /// Counts one snapshot that is not gone.
  public mutating func countSnapshot(_ promisedSize: ByteCount, of type: VolumeTypeID) {
    let size = promisedSize.gibibytesRoundedUp
    snapshots += 1
    gigabytes += size
    snapshotsByType[type, default: 0] += 1
    gigabytesByType[type, default: 0] += size
  }

  /// Says no where `volumes` more volumes, `snapshots` more snapshots or `gigabytes` more in all, or one volume of `volumeSize`,
  /// would pass a limit.
  public func check(
    adding volumes: Int, snapshots: Int = 0, gigabytes: Int, volumeSize: Int, type: VolumeType, against quota: QuotaSet
  ) throws(StorageError) {
    let perVolume = quota.limit("per_volume_gigabytes")
    if perVolume >= 0, volumeSize > perVolume {
      throw StorageError(
        .overQuota,
        "Requested volume size \(volumeSize)G is larger than the maximum allowed limit \(perVolume)G (per_volume_gigabytes)."
      )
    }
    try check(
      [
        ("volumes", self.volumes, volumes), ("gigabytes", self.gigabytes, gigabytes),
        ("volumes_\(type.name)", volumesByType[type.id] ?? 0, volumes),
        ("gigabytes_\(type.name)", gigabytesByType[type.id] ?? 0, gigabytes),
        ("snapshots", self.snapshots, snapshots),
        ("snapshots_\(type.name)", snapshotsByType[type.id] ?? 0, snapshots),
      ], against: quota)
  }

  /// Says no where one more volume of the type would pass a limit of the type.
  public func checkRetype(of gigabytes: Int, to type: VolumeType, against quota: QuotaSet) throws(StorageError) {
    try check(
      [
        ("volumes_\(type.name)", volumesByType[type.id] ?? 0, 1),
        ("gigabytes_\(type.name)", gigabytesByType[type.id] ?? 0, gigabytes),
      ], against: quota)
  }

  /// Says no where one more snapshot of `gigabytes` would pass a limit.
  public func checkSnapshot(of gigabytes: Int, type: VolumeType, against quota: QuotaSet) throws(StorageError) {
    try check(
      [
        ("snapshots", snapshots, 1), ("gigabytes", self.gigabytes, gigabytes),
        ("snapshots_\(type.name)", snapshotsByType[type.id] ?? 0, 1),
        ("gigabytes_\(type.name)", gigabytesByType[type.id] ?? 0, gigabytes),
      ], against: quota)
  }

  /// Says no where one more group would pass a limit.
  public func checkGroup(against quota: QuotaSet) throws(StorageError) {
    try check([("groups", groups, 1)], against: quota)
  }

  private func check(
    _ claims: [(resource: String, used: Int, wanted: Int)], against quota: QuotaSet
  ) throws(StorageError) {
    for (resource, used, wanted) in claims where wanted > 0 {
      let limit = quota.limit(resource)
      if limit >= 0, used + wanted > limit {
        throw StorageError(
          .overQuota,
          "Quota of project \(quota.project) exceeded for \(resource): \(wanted) requested, \(used) of \(limit) in use."
        )
      }
    }
  }
}
