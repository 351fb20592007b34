import PumiceModel

/// A logical volume as `lvs` shows it.
struct LogicalVolume: Sendable, Equatable {
  enum Kind: Sendable, Equatable {
    case thinPool
    /// A thin volume or thin snapshot in a pool.
    case thin
    /// A snapshot that keeps what its origin has overwritten.
    case thickSnapshot
    /// Everything else that is visible: linear, striped, raid …, an origin included.
    case thick
    /// Parts of others, which LVM shows in brackets.
    case hidden
  }

  /// The last words of `lv_health_status` and `lv_attr` about a thin pool (lvs(8), lv_attr bit 9).
  enum Health: Sendable, Equatable {
    case good, failed, outOfData, metadataReadOnly, needsCheck, partial
  }

  let uuid: String
  var name: String
  var kind: Kind
  /// Of a thick snapshot: what it can keep, not what it shows.
  var size: ByteCount
  var tags: [String]
  /// The name of the volume that a snapshot, thin or thick, was made of.
  var origin: String?
  var pool: String?
  /// Of a thin pool and of an active thin volume or thick snapshot: how full it is, in percent.
  var dataPercent: Double?
  /// Of a thin pool.
  var metadataPercent: Double?
  var metadataSize: ByteCount?
  /// Of an origin and of its thick snapshots: how large the origin is, or was when the snapshot was taken.
  var originSize: ByteCount?
  var isReadOnly = false
  var isActive = false
  var isOpen = false
  var isSuspended = false
  /// Of a thick snapshot: it ran full, and what it held is lost. Known only while it is active.
  var isInvalid = false
  /// Of a thick snapshot and its origin: the first is being merged into the second.
  var isMerging = false
  /// Of a thin pool: whether new chunks are zeroed before they are read.
  var zeroesChunks = false
  /// Of a thin pool: a crash may have kept its kernel side from hearing of the last change (`PendingMessages`).
  var hasPendingMessages = false
  /// Of a thin volume: that change was its creation.
  var isPendingCreation = false
  var health = Health.good

  /// What it says about itself; `nil` when it is none of ours.
  var ourTags: LVMTags? { LVMTags(tags) }
  var isOurs: Bool { tags.contains(LVMTags.mark) }

  init(
    uuid: String, name: String, kind: Kind, size: ByteCount, tags: [String] = [], origin: String? = nil,
    pool: String? = nil
  ) {
    self.uuid = uuid
    self.name = name
    self.kind = kind
    self.size = size
    self.tags = tags
    self.origin = origin
    self.pool = pool
  }
}

/// A physical volume as `pvs` shows it.
struct PhysicalVolume: Sendable, Equatable {
  /// The device's path; LVM calls one that it can't find "[unknown]".
  let name: String
  let uuid: String
  let isMissing: Bool
  /// Whether the group's metadata is written to it.
  let holdsMetadata: Bool
}
