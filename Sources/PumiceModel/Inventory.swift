/// What is on a node, as it really is: read from storage, target and hypervisor, not from memory.
public struct Inventory: Sendable, Equatable, Codable {
  public struct StoredVolume: Sendable, Hashable, Codable {
    public let id: VolumeID
    public let backend: String
    public let pool: String
    public let size: ByteCount
    /// By which the node knows it; `nil` from agents that don't say.
    public let revision: Revision?
    /// Whether it is raw bytes of its own that several instances may write to. `nil` is `false`.
    public let isMultiattach: Bool?

    public init(
      id: VolumeID, backend: String, pool: String, size: ByteCount, revision: Revision? = nil,
      isMultiattach: Bool? = nil
    ) {
      self.id = id
      self.backend = backend
      self.pool = pool
      self.size = size
      self.revision = revision
      self.isMultiattach = isMultiattach
    }
  }

  public struct StoredSnapshot: Sendable, Hashable, Codable {
    public let id: SnapshotID
    public let volume: VolumeID
    public let backend: String
    public let pool: String
    /// The volume's, when it was taken.
    public let size: ByteCount
    /// By which the node knows it; `nil` from agents that don't say.
    public let revision: Revision?

    public init(
      id: SnapshotID, volume: VolumeID, backend: String, pool: String, size: ByteCount, revision: Revision? = nil
    ) {
      self.id = id
      self.volume = volume
      self.backend = backend
      self.pool = pool
      self.size = size
      self.revision = revision
    }
  }

  /// What a target offers, or the record of an export that the agent is still working on.
  public struct Export: Sendable, Hashable, Codable {
    public let attachment: AttachmentID
    public let volume: VolumeID
    public let initiator: String
    /// Whether the target really offers it; `false` while there is only a record.
    public let isOffered: Bool

    public init(attachment: AttachmentID, volume: VolumeID, initiator: String, isOffered: Bool = true) {
      self.attachment = attachment
      self.volume = volume
      self.initiator = initiator
      self.isOffered = isOffered
    }
  }

  /// A disk of ours in an instance, or the record of one that the agent is still working on.
  public struct Connection: Sendable, Hashable, Codable {
    public let attachment: AttachmentID
    public let volume: VolumeID
    public let instance: InstanceID
    /// The target name in the instance; `nil` while there is a record but no disk.
    public let device: String?

    public init(attachment: AttachmentID, volume: VolumeID, instance: InstanceID, device: String?) {
      self.attachment = attachment
      self.volume = volume
      self.instance = instance
      self.device = device
    }
  }

  /// Something that a connection has left on its node, or that has come between a disk and its instance.
  public struct Leftover: Sendable, Hashable, Codable {
    public enum Kind: String, Sendable, Codable, CaseIterable {
      /// A login of this node for an attachment that it has no record of.
      case leakedSession
      /// What such a login was, or was to be, made with.
      case leakedRecord
      /// A disk that nothing stands behind any more: who touches it waits or fails.
      case zombieDisk
      /// A disk that somebody else on the node has taken for his own.
      case seizedDisk
    }

    public let kind: Kind
    public let attachment: AttachmentID?
    /// What the node calls it, such as `session12` or `sdb`.
    public let name: String
    /// A sentence for an operator.
    public let detail: String

    public init(kind: Kind, attachment: AttachmentID?, name: String, detail: String) {
      self.kind = kind
      self.attachment = attachment
      self.name = name
      self.detail = detail
    }
  }

  public var volumes: [StoredVolume]
  public var snapshots: [StoredSnapshot]
  public var exports: [Export]
  public var connections: [Connection]
  /// No part of the digest, which is about what coordinator and node both know; `nil` from an agent that does not look.
  public var leftovers: [Leftover]?

  public init(
    volumes: [StoredVolume] = [], snapshots: [StoredSnapshot] = [], exports: [Export] = [],
    connections: [Connection] = []
  ) {
    self.volumes = volumes
    self.snapshots = snapshots
    self.exports = exports
    self.connections = connections
  }

  public var digest: UInt64 {
    var digest = InventoryDigest()
    for volume in volumes { digest.add(volume: volume.id, on: volume.backend, volume.pool) }
    for snapshot in snapshots { digest.add(snapshot: snapshot.id, on: snapshot.backend, snapshot.pool) }
    for export in exports {
      if export.isOffered { digest.add(export: export.attachment) } else { digest.add(leaving: export.attachment) }
    }
    for connection in connections {
      if connection.device != nil {
        digest.add(connection: connection.attachment)
      } else {
        digest.add(leaving: connection.attachment)
      }
    }
    return digest.value
  }
}

extension PoolName {
  /// Where a node has a volume.
  public init(_ stored: Inventory.StoredVolume, on node: NodeName) {
    self.init(node: node, backend: stored.backend, pool: stored.pool)
  }

  /// Where a node has a snapshot.
  public init(_ stored: Inventory.StoredSnapshot, on node: NodeName) {
    self.init(node: node, backend: stored.backend, pool: stored.pool)
  }
}

/// A number that is equal on coordinator and node when both mean the same volumes, snapshots, exports and connections.
///
/// It is a sum of hashes, so order does not matter and either side can take it from what it holds. A difference says
/// only that the whole inventory is worth reading.
public struct InventoryDigest: Sendable {
  public private(set) var value: UInt64 = 0

  public init() {}

  public mutating func add(volume: VolumeID, on backend: String, _ pool: String) {
    add(1, volume.high, volume.low, Self.hash(backend) &* 31 &+ Self.hash(pool))
  }

  public mutating func add(snapshot: SnapshotID, on backend: String, _ pool: String) {
    add(5, snapshot.high, snapshot.low, Self.hash(backend) &* 31 &+ Self.hash(pool))
  }

  public mutating func add(export attachment: AttachmentID) { add(2, attachment.high, attachment.low, 0) }

  public mutating func add(connection attachment: AttachmentID) { add(3, attachment.high, attachment.low, 0) }

  /// A record without an export or a disk: never expected, always worth a look.
  public mutating func add(leaving attachment: AttachmentID) { add(4, attachment.high, attachment.low, 0) }

  private mutating func add(_ words: UInt64...) {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for word in words { hash = Self.mix(hash ^ word) }
    value &+= hash
  }

  /// The finaliser of SplitMix64: unlike Swift's own `Hasher` it gives the same in every process.
  private static func mix(_ word: UInt64) -> UInt64 {
    var z = word &+ 0x9e37_79b9_7f4a_7c15
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  private static func hash(_ text: String) -> UInt64 {
    text.utf8.reduce(0xcbf2_9ce4_8422_2325) { mix($0 ^ UInt64($1)) }
  }
}
