/// A machine with an agent, as the coordinator remembers it.
public struct Node: Sendable, Equatable, Codable {
  public let name: NodeName
  /// Where its agent listens, such as `http://10.0.0.7:9776`.
  public var address: String
  public var availabilityZone: String
  /// A disabled node gets no new volumes; what it has keeps being served.
  public var isEnabled: Bool
  public var disabledReason: String?
  /// Whether everything on it stays as it is: no new volumes, and none of its volumes and snapshots is deleted or kept in a new
  /// snapshot. What it has keeps being served. `nil` is `false`.
  public var isFrozen: Bool?
  /// The operator's word that the machine will not come back: work that waits for it ends without it.
  public var isLost: Bool
  public let registeredAt: Timestamp
  public var updatedAt: Timestamp

  public init(
    name: NodeName, address: String, availabilityZone: String, isEnabled: Bool = true, disabledReason: String? = nil,
    isLost: Bool = false, registeredAt: Timestamp
  ) {
    self.name = name
    self.address = address
    self.availabilityZone = availabilityZone
    self.isEnabled = isEnabled
    self.disabledReason = disabledReason
    self.isLost = isLost
    self.registeredAt = registeredAt
    updatedAt = registeredAt
  }

  /// Whether new volumes may be put there.
  public var takesVolumes: Bool { isEnabled && isFrozen != true }

  /// Why not, as an operator said it.
  public var refusalReason: String? { isFrozen == true ? "frozen" : disabledReason }
}

/// What a pool has and can do, in bytes, as its storage says now.
public struct PoolReport: Sendable, Equatable, Codable {
  public let backend: String
  public let pool: String
  public var total: ByteCount
  /// Physically free now.
  public var free: ByteCount
  /// Virtual size of everything on it that is not a volume of ours, such as a foreign LV.
  public var foreignProvisioned: ByteCount
  public var isThin: Bool
  /// Kept free of volumes, in percent of `total`.
  public var reservedPercentage: Int
  /// How far thin volumes may promise more than there is: both against the whole and against what is free.
  public var maxOverSubscriptionRatio: Double
  /// What extra specs are matched with: `storage_protocol`, `volume_backend_name` and whatever the operator adds.
  public var capabilities: [String: [String]]
  /// Why the pool can't be used now; `nil` when it can.
  public var downReason: String?
  /// How full a thin pool is, in percent, and its metadata, which can run full on its own. `nil` where there is no such thing.
  public var dataPercent: Double?
  public var metadataPercent: Double?
  /// What an operator should look at before it does harm.
  public var warnings: [String]?

  public init(
    backend: String, pool: String, total: ByteCount, free: ByteCount, foreignProvisioned: ByteCount = .zero,
    isThin: Bool, reservedPercentage: Int = 0, maxOverSubscriptionRatio: Double = 1,
    capabilities: [String: [String]] = [:], downReason: String? = nil
  ) {
    self.backend = backend
    self.pool = pool
    self.total = total
    self.free = free
    self.foreignProvisioned = foreignProvisioned
    self.isThin = isThin
    self.reservedPercentage = reservedPercentage
    self.maxOverSubscriptionRatio = maxOverSubscriptionRatio
    self.capabilities = capabilities
    self.downReason = downReason
  }
}

/// How a compute node reaches volumes, and under which initiator name.
public struct ConnectorDescription: Sendable, Equatable, Codable {
  /// The way in: `iscsi-qemu` (QEMU's own libiscsi), `memory` …
  public let kind: String
  /// The storage protocol it takes, as pools report it in `storage_protocol`.
  public let protocolName: String
  /// The initiator name (RFC 7143), or the first part of it.
  public let initiator: String
  /// Whether each attachment logs in under a name of its own, `initiator:attachment`.
  public let namesInitiatorPerAttachment: Bool
  /// Whether it lets no target's word count before that has shown a secret of its own (mutual CHAP; RFC 7143, 12.1.3).
  /// `nil` from agents that don't know of it.
  public let authenticatesTargets: Bool?

  public init(
    kind: String, protocolName: String, initiator: String, namesInitiatorPerAttachment: Bool,
    authenticatesTargets: Bool? = nil
  ) {
    self.kind = kind
    self.protocolName = protocolName
    self.initiator = initiator
    self.namesInitiatorPerAttachment = namesInitiatorPerAttachment
    self.authenticatesTargets = authenticatesTargets
  }

  /// Instances of a node use its own devices, with no target in between.
  public static func local(on node: NodeName) -> Self {
    Self(kind: "local", protocolName: localProtocol, initiator: "local:\(node)", namesInitiatorPerAttachment: false)
  }

  /// Instances of a node open files of shares, with no target in between.
  public static func shares(on node: NodeName, kind: String) -> Self {
    Self(kind: kind, protocolName: sharesProtocol, initiator: "nfs:\(node)", namesInitiatorPerAttachment: false)
  }

  /// The protocol of pools that are shares, and of nodes whose instances can open files there.
  public static let sharesProtocol = "NFS"

  /// Whether this is the name of somebody who opens files of shares, and not one of iSCSI, which begins with its kind.
  public static func opensShares(_ initiatorName: String) -> Bool { initiatorName.hasPrefix("nfs:") }

  /// The protocol of pools whose volumes are devices of their node, and of nodes whose instances can use such.
  public static let localProtocol = "local"

  /// Whether this is the name of a node's own instances, and not one of iSCSI, which begins with its kind (RFC 7143).
  public static func isLocal(_ initiatorName: String) -> Bool { initiatorName.hasPrefix("\(localProtocol):") }

  /// Whether it reaches the volumes of its own node only.
  public var isLocal: Bool { protocolName == Self.localProtocol }

  /// The one initiator that the export of this attachment admits.
  public func initiatorName(for attachment: AttachmentID) -> String {
    namesInitiatorPerAttachment ? "\(initiator):\(attachment)" : initiator
  }
}

/// Who a node is, what it has and whom it runs: sent by the agent every `report_interval`.
public struct NodeReport: Sendable, Equatable, Codable {
  public var name: NodeName
  public var version: String
  /// Where the coordinator reaches this agent.
  public var address: String
  public var availabilityZone: String
  public var connectors: [ConnectorDescription]
  /// `nil` on a node without hypervisor.
  public var hypervisor: String?
  public var pools: [PoolReport]
  public var instances: [Instance]
  /// See `InventoryDigest`.
  public var inventoryDigest: UInt64
  /// Which life of the agent speaks: another number after each start. Calls that were meant for an earlier one are refused,
  /// since what that one remembered of later calls is gone.
  public var incarnation: UInt64

  public init(
    name: NodeName, version: String, address: String, availabilityZone: String, incarnation: UInt64 = 0,
    connectors: [ConnectorDescription] = [], hypervisor: String? = nil, pools: [PoolReport] = [],
    instances: [Instance] = [], inventoryDigest: UInt64 = 0
  ) {
    self.name = name
    self.version = version
    self.address = address
    self.availabilityZone = availabilityZone
    self.connectors = connectors
    self.hypervisor = hypervisor
    self.pools = pools
    self.instances = instances
    self.inventoryDigest = inventoryDigest
    self.incarnation = incarnation
  }
}
