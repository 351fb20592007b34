public import PumiceModel

/// What an operator says about an LVM backend (`kind: lvm`).
public struct LVMBackendConfiguration: BackendSettings, Codable, Sendable, Equatable {
  public enum Provisioning: String, Codable, Sendable {
    /// Volumes in a thin pool take the chunks they have been written to; snapshots and copies cost nothing at first.
    case thin
    /// Volumes take all their extents when they are made. Snapshots keep what their volume overwrites.
    case thick
  }

  /// What happens to the bytes of what is deleted.
  public enum Wipe: String, Codable, Sendable {
    /// Zeroed. Thin volumes need none of it: a pool zeroes each chunk before anybody gets it.
    case zero
    /// Given back to the device below, which may or may not forget them.
    case discard
    /// Left, for whoever reads the disks. New volumes are zeroed nevertheless.
    case none
  }

  /// Unique on the node; the name of its only pool as well.
  public var name: String
  public var volumeGroup: String
  public var provisioning: Provisioning
  /// The thin pool in the group. One that isn't there is made of nearly all that is free.
  public var thinPool: String
  public var wipe: Wipe
  /// Bytes a second that wiping and copying may take of the disks; `nil` for all they give.
  public var wipeBandwidth: ByteCount?
  /// Room that a thick snapshot gets, in percent of what its volume can overwrite. With less than 100, snapshots are
  /// extended as they fill, and lost where they fill faster than that.
  public var snapshotReserve: Int
  /// How full a thin pool's data may be for something new, in percent.
  public var maxDataPercent: Double
  /// The same for its metadata, which runs full on its own.
  public var maxMetadataPercent: Double
  /// How much of the group's metadata area must be left for something new, in percent.
  public var minMetadataAreaFree: Double
  /// Whether a pool that is fuller than `extendAt` percent gets more of what is free in the group.
  public var autoExtend: Bool
  public var extendAt: Double
  /// By how much of its size, in percent.
  public var extendBy: Double
  /// Kept free of volumes, in percent.
  public var reservedPercentage: Int
  /// How far thin volumes may promise more than there is.
  public var maxOverSubscriptionRatio: Double
  /// Further capabilities for extra specs to match; they win over those the driver reports by itself.
  public var capabilities: [String: [String]]

  public init(
    name: String, volumeGroup: String, provisioning: Provisioning = .thin, thinPool: String? = nil, wipe: Wipe = .zero,
    wipeBandwidth: ByteCount? = nil, snapshotReserve: Int = 100, maxDataPercent: Double = 95,
    maxMetadataPercent: Double = 85, minMetadataAreaFree: Double = 10, autoExtend: Bool = true, extendAt: Double = 80,
    extendBy: Double = 20, reservedPercentage: Int = 0, maxOverSubscriptionRatio: Double = 10,
    capabilities: [String: [String]] = [:]
  ) {
    self.name = name
    self.volumeGroup = volumeGroup
    self.provisioning = provisioning
    self.thinPool = thinPool ?? "\(volumeGroup)-pool"
    self.wipe = wipe
    self.wipeBandwidth = wipeBandwidth
    self.snapshotReserve = snapshotReserve
    self.maxDataPercent = maxDataPercent
    self.maxMetadataPercent = maxMetadataPercent
    self.minMetadataAreaFree = minMetadataAreaFree
    self.autoExtend = autoExtend
    self.extendAt = extendAt
    self.extendBy = extendBy
    self.reservedPercentage = reservedPercentage
    self.maxOverSubscriptionRatio = maxOverSubscriptionRatio
    self.capabilities = capabilities
  }

  /// Throws `invalid`, with the key's name, for what can't work.
  public func validate() throws(StorageError) {
    try validateCommon()
    try require("volume_group", volumeGroup)
    try require("thin_pool", thinPool)
    try require("max_data_percent", maxDataPercent, in: 1...100)
    try require("max_metadata_percent", maxMetadataPercent, in: 1...100)
    try require("min_mda_free", minMetadataAreaFree, in: 0...50)
    try require("extend_at", extendAt, in: 10...100)
    try require("extend_by", extendBy, in: 1...100)
    try require("snapshot_reserve", Double(snapshotReserve), in: 5...100)
    if let wipeBandwidth, wipeBandwidth < .mebibytes(1) {
      throw .invalid(
        "wipe_bandwidth", "of backend \(name) must be at least 1048576 bytes a second; it is \(wipeBandwidth.bytes).")
    }
  }

  /// The form of LVM's names (lvm(8), "Valid names").
  private func require(_ key: String, _ name: String) throws(StorageError) {
    let isPlain = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+_.-".contains($0)) }
    guard isPlain, 1...100 ~= name.count, !name.hasPrefix("-"), name != ".", name != ".." else {
      throw .invalid(
        key, "of backend \(self.name) must be a name as LVM takes it: letters, digits and +_.-; it is \"\(name)\".")
    }
  }

  private func require(_ key: String, _ value: Double, in range: ClosedRange<Double>) throws(StorageError) {
    guard range.contains(value) else {
      throw .invalid(
        key, "of backend \(name) must be from \(range.lowerBound) to \(range.upperBound); it is \(value).")
    }
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case name, provisioning, wipe, capabilities
    case volumeGroup = "volume_group"
    case thinPool = "thin_pool"
    case wipeBandwidth = "wipe_bandwidth"
    case snapshotReserve = "snapshot_reserve"
    case maxDataPercent = "max_data_percent"
    case maxMetadataPercent = "max_metadata_percent"
    case minMetadataAreaFree = "min_mda_free"
    case autoExtend = "auto_extend"
    case extendAt = "extend_at"
    case extendBy = "extend_by"
    case reservedPercentage = "reserved_percentage"
    case maxOverSubscriptionRatio = "max_over_subscription_ratio"
  }

  public init(from decoder: any Decoder) throws {
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    func value<Value: Decodable>(_ key: CodingKeys, _ fallback: Value) throws -> Value {
      try keys.decodeIfPresent(Value.self, forKey: key) ?? fallback
    }
    self.init(
      name: try keys.decode(String.self, forKey: .name),
      volumeGroup: try keys.decode(String.self, forKey: .volumeGroup),
      thinPool: try keys.decodeIfPresent(String.self, forKey: .thinPool))
    provisioning = try value(.provisioning, provisioning)
    wipe = try value(.wipe, wipe)
    wipeBandwidth = try keys.decodeIfPresent(ByteCount.self, forKey: .wipeBandwidth)
    snapshotReserve = try value(.snapshotReserve, snapshotReserve)
    maxDataPercent = try value(.maxDataPercent, maxDataPercent)
    maxMetadataPercent = try value(.maxMetadataPercent, maxMetadataPercent)
    minMetadataAreaFree = try value(.minMetadataAreaFree, minMetadataAreaFree)
    autoExtend = try value(.autoExtend, autoExtend)
    extendAt = try value(.extendAt, extendAt)
    extendBy = try value(.extendBy, extendBy)
    reservedPercentage = try value(.reservedPercentage, reservedPercentage)
    maxOverSubscriptionRatio = try value(.maxOverSubscriptionRatio, maxOverSubscriptionRatio)
    capabilities = try keys.decodeIfPresent([String: OneOrMany].self, forKey: .capabilities)?.mapValues(\.values) ?? [:]
  }
}
