public import Logging
public import PumiceModel
public import PumiceWire
import Synchronization

/// What a node does for the coordinator, over its drivers.
///
/// Calls about one resource run one at a time, in the order they came; a volume, its snapshots, its exports and what is made
/// from it exclude each other. Each
/// may be cut off at any await by the end of the process: what it left is found by its repeat, by the removal of the
/// resource, or by `restore`. It knows no time, and starts no tasks but to restore
/// devices of the node, so that a simulation can repeat a run exactly.
public final class NodeService: LoggingNodeAPI {
  enum LockKey: Hashable, Sendable {
    /// Of the volume, its snapshots and its exports. Held inside that of an export, never the other way round; of two, the
    /// smaller one is taken first.
    case volume(VolumeID)
    case export(AttachmentID)
    case connection(AttachmentID)
  }

  /// What the last report said; it stands in for what can't be read at the moment.
  private struct LastSeen {
    var instances: [Instance] = []
    var inventoryDigest: UInt64 = 0
  }

  /// How many calls that may copy bytes wait for one volume, each for a few seconds of work: what they take together is well
  /// within a caller's deadline.
  static let queueForLong = 3

  public let identity: NodeIdentity
  let drivers: NodeDrivers
  let exports: any RecordStore<ExportRecord>
  let connections: any RecordStore<ConnectionRecord>
  /// `nil` on a node whose guests can't be asked to hold still.
  let quiescence: Quiescence?
  let logger: Logger
  private let logLevel: LogLevel
  let locks = KeyedLock<LockKey>()
  let gate = RevisionGate()
  /// See `NodeReport.incarnation`.
  let incarnation: UInt64
  private let dice: Mutex<any RandomNumberGenerator & Sendable>
  private let lastSeen = Mutex(LastSeen())

  /// - Parameters:
  ///   - exports: What this node has promised to initiators; survives the agent.
  ///   - connections: What this node has promised to instances; survives the agent.
  ///   - dice: Where CHAP secrets come from.
  ///   - logLevel: What the whole process logs from on.
  public init(
    _ identity: NodeIdentity, drivers: NodeDrivers, exports: any RecordStore<ExportRecord>,
    connections: any RecordStore<ConnectionRecord>, quiescence: Quiescence? = nil,
    dice: some RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(), logger: Logger,
    logLevel: LogLevel = LogLevel(.info)
  ) {
    self.identity = identity
    self.drivers = drivers
    self.exports = exports
    self.connections = connections
    self.quiescence = quiescence
    var dice = dice
    incarnation = dice.next()
    self.dice = Mutex(dice)
    self.logger = logger
    self.logLevel = logLevel
  }

  func makeAccount(for attachment: AttachmentID) -> CHAPAccount {
    dice.withLock { dice in
      var generator = dice
      defer { dice = generator }
      return CHAPAccount(for: attachment, using: &generator)
    }
  }

  func makeTargetAccount(for attachment: AttachmentID) -> TargetAccount {
    dice.withLock { dice in
      var generator = dice
      defer { dice = generator }
      return CHAPAccount.target(for: attachment, using: &generator)
    }
  }

  /// Refuses a call that an earlier life of this agent was meant to get: what came after it is forgotten here.
  func admit(_ meant: UInt64?) throws(StorageError) {
    guard let meant, meant != incarnation else { return }
    throw StorageError(
      .unavailable,
      "The agent of node \(identity.name) was restarted since the call was made; ask again once it has reported.")
  }

  public func logSetting() async throws(StorageError) -> LogSetting {
    LogSetting(level: logLevel.value, logger: Agent.loggerName)
  }

  public func setLog(_ setting: LogSetting) async throws(StorageError) {
    logLevel.set(setting.level)
    logger.notice("level of the log set", metadata: ["level": "\(setting.level)"])
  }

  // MARK: What is there

  /// Never fails: what can't be read now stands as it was last seen, instances with status `UNKNOWN`.
  public func report() async throws(StorageError) -> NodeReport {
    var report = NodeReport(
      name: identity.name, version: identity.version, address: identity.address,
      availabilityZone: identity.availabilityZone)
    report.incarnation = incarnation
    report.pools = await pools()
    if let hypervisor = drivers.hypervisor {
      report.hypervisor = hypervisor.kind
      report.connectors = drivers.connectors.map(\.description) + [drivers.local].compactMap(\.self)
      report.instances = await instances(of: hypervisor)
    }
    report.inventoryDigest = await inventoryDigest()
    return report
  }

  /// Throws where a driver can't be asked: what is not seen must not look as if it were not there.
  public func inventory() async throws(StorageError) -> Inventory {
    var inventory = try await resources()
    inventory.leftovers = try await leftovers()
    return inventory
  }

  /// What coordinator and node both know of.
  private func resources() async throws(StorageError) -> Inventory {
    var inventory = Inventory()
    for backend in drivers.backends {
      inventory.volumes += try await backend.volumes().map {
        Inventory.StoredVolume(
          id: $0.id, backend: backend.name, pool: $0.pool, size: $0.size, revision: $0.revision,
          isMultiattach: $0.isMultiattach ? true : nil)
      }
      inventory.snapshots += try await backend.snapshots().map {
        Inventory.StoredSnapshot(
          id: $0.id, volume: $0.volume, backend: backend.name, pool: $0.pool, size: $0.size, revision: $0.revision)
      }
    }
    inventory.exports = try await standingExports()
    inventory.connections = try await standingConnections()
    return inventory
  }

  /// What each pool has now, under the protocol that this node really exports it with.
  public func pools() async -> [PoolReport] {
    var pools: [PoolReport] = []
    for backend in drivers.backends {
      let isLocal = drivers.local != nil && backend is any ActivatingBackend
      let isShared = backend is any ImageBackend
      for var pool in await backend.pools() {
        var protocols = pool.capabilities["storage_protocol"] ?? []
        if !isShared, let name = drivers.exporter?.protocolName,
          !protocols.contains(where: { $0.lowercased() == name.lowercased() })
        {
          protocols = [name]
        }
        if isLocal { protocols.append(ConnectorDescription.localProtocol) }
        pool.capabilities["storage_protocol"] = protocols
        if pool.capabilities["multiattach"] == nil || !backend.allowsMultiattach {
          pool.capabilities["multiattach"] = [backend.allowsMultiattach ? "True" : "False"]
        }
        pools.append(pool)
      }
    }
    return pools
  }

  private func instances(of hypervisor: any Hypervisor) async -> [Instance] {
    do throws(StorageError) {
      let instances = try await hypervisor.instances()
      lastSeen.withLock { $0.instances = instances }
      return instances
    } catch {
      logger.debug("instances can't be read", metadata: ["error": "\(error)"])
      return lastSeen.withLock(\.instances).map {
        Instance(
          id: $0.id, name: $0.name, status: .unknown, isPersistent: $0.isPersistent, vcpus: $0.vcpus, memory: $0.memory)
      }
    }
  }

  private func inventoryDigest() async -> UInt64 {
    do throws(StorageError) {
      let digest = try await resources().digest
      lastSeen.withLock { $0.inventoryDigest = digest }
      return digest
    } catch {
      logger.debug("inventory can't be read", metadata: ["error": "\(error)"])
      return lastSeen.withLock(\.inventoryDigest)
    }
  }

  /// Exports as the target has them, and records without one.
  private func standingExports() async throws(StorageError) -> [Inventory.Export] {
    let offered = try await drivers.exporter?.exports() ?? []
    let attachments = Set(offered.map(\.attachment))
    return offered
      + exports.all.filter { !attachments.contains($0.attachment) }.map {
        Inventory.Export(
          attachment: $0.attachment, volume: $0.export.volume, initiator: $0.export.initiator,
          isOffered: $0.export.hasNoTarget && !$0.isLeaving)
      }
  }

  /// Disks as the hypervisor has them, and records without one: those are being worked on, or wait to be taken away.
  private func standingConnections() async throws(StorageError) -> [Inventory.Connection] {
    guard let hypervisor = drivers.hypervisor else { return [] }
    let disks = try await hypervisor.disks()
    let records = connections.all
    let volumes = Dictionary(
      records.map { ($0.attachment, $0.request.volume) }, uniquingKeysWith: { first, _ in first })
    let standing = disks.map { disk in
      // A disk of ours whose serial is no volume id is shown all the same, for somebody to look at.
      let volume = disk.volume ?? volumes[disk.attachment] ?? VolumeID(high: 0, low: 0)
      return Inventory.Connection(
        attachment: disk.attachment, volume: volume, instance: disk.instance, device: disk.device)
    }
    let plugged = Set(disks.map(\.attachment))
    return standing
      + records.filter { !plugged.contains($0.attachment) }.map {
        Inventory.Connection(
          attachment: $0.attachment, volume: $0.request.volume, instance: $0.request.instance, device: nil)
      }
  }
}
