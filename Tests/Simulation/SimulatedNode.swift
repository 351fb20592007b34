import Logging
import PumiceAgent
import PumiceCoordinator
import PumiceModel
import PumiceWire
import Synchronization

/// A machine of the fleet: what survives its agent, and the agent.
///
/// Disk and record shelves survive everything; the target's state and devices are the kernel's and go with a reboot; instances run on
/// while the agent is away.
final class SimulatedNode: Sendable {
  private struct State {
    var process: Process?
    var service: NodeService?
    var isGone = false
  }

  let name: NodeName
  let disk: InMemoryDisk
  let hypervisorWorld: InMemoryHypervisorWorld
  private let fabric: InMemoryFabric
  private let exportShelf = InMemoryRecordShelf<ExportRecord>()
  private let connectionShelf = InMemoryRecordShelf<ConnectionRecord>()
  private let world: World
  private let planted: PlantedFault?
  private let reverts = RevertMemory()
  /// Whether its volumes are devices, which its instances use without a target.
  let hasDevices: Bool
  private let state = Mutex(State())

  init(name: NodeName, hasDevices: Bool, world: World, fabric: InMemoryFabric, planted: PlantedFault?) {
    self.name = name
    self.hasDevices = hasDevices
    self.world = world
    self.fabric = fabric
    self.planted = planted
    disk = InMemoryDisk(pools: ["fast": .gibibytes(60), "slow": .gibibytes(80)])
    var dice = Dice(world: world)
    hypervisorWorld = InMemoryHypervisorWorld(
      instances: (1...2).map {
        Instance(id: InstanceID(using: &dice), name: "\(name)-vm\($0)", status: $0 == 1 ? .active : .shutOff)
      })
  }

  // MARK: Life and death

  /// Starts the agent: restores what its records say, then serves and reports.
  func start(reportingTo sink: Fleet.Sink) {
    // Two at a time can't be: the second would find the state directory locked.
    guard state.withLock({ !$0.isGone && $0.process?.isAlive != true }) else { return }
    let (world, process) = (world, Process(name, in: world))
    let fault: @Sendable (String) async throws(StorageError) -> Void = { [world] step throws(StorageError) in
      do { try await world.sleep(.milliseconds(world.random(0...6))) } catch {
        throw StorageError.wrap(error, step)
      }
      if world.chance(0.7) { throw StorageError(.unavailable, "A simulated failure of \(step).") }
      if step.hasSuffix(".begun"), !step.hasPrefix("remove"), world.chance(3) {
        throw StorageError(.noSpace, "A simulated lack of space at \(step).")
      }
    }
    let backend = InMemoryBackend(
      name: "mem", disk: disk, reservedPercentage: 5, maxOverSubscriptionRatio: 2,
      // Hosts without an agent know no other protocol.
      capabilities: ["storage_protocol": ["memory", "iSCSI"]], slices: world.random(1...3), fault: fault)
    let service = NodeService(
      NodeIdentity(name: name, address: "sim://\(name)", availabilityZone: "nova"),
      drivers: NodeDrivers(
        backends: [hasDevices ? InMemoryDevices(backend) : backend],
        exporter: InMemoryExporter(fabric: fabric, portal: name, disks: ["mem": disk], fault: fault),
        hypervisor: InMemoryHypervisor(world: hypervisorWorld, fault: fault),
        connector: InMemoryConnector(fabric: fabric, initiator: "iqn.2026-11.sim:\(name)", fault: fault),
        local: hasDevices ? .local(on: name) : nil),
      exports: InMemoryRecordStore(on: exportShelf, fault: fault),
      connections: InMemoryRecordStore(on: connectionShelf, fault: fault),
      dice: Dice(world: world), logger: .silent)
    state.withLock { $0 = State(process: process, service: service) }
    process.start {
      while await !service.restore().isComplete { try? await world.sleep(.seconds(2)) }
    }
    process.start {
      while true {
        if let report = try? await service.report() { try? await sink.send(report) }
        try? await world.sleep(.seconds(10))
      }
    }
  }

  var process: Process? { state.withLock(\.process) }

  /// What answers calls to this node now: nobody, while the agent is down.
  var receiver: (process: Process, service: any NodeAPI)? {
    let (process, service) = state.withLock { ($0.process, $0.service) }
    guard let process, let service, process.isAlive else { return nil }
    return (process, LyingNode(honest: service, planted: planted, disk: disk, reverts: reverts))
  }

  /// The machine restarts: the target forgets its exports, running instances are shut off. The agent has to be started anew.
  func reboot() {
    process?.kill()
    disk.deactivateAll()
    fabric.forgetTargets(at: name)
    fabric.endSessions(ofInitiatorsNamed: "iqn.2026-11.sim:\(name)")
    for instance in hypervisorWorld.instances where instance.status == .active { hypervisorWorld.shutOff(instance.id) }
  }

  /// The machine never comes back.
  func vanish() {
    reboot()
    state.withLock { $0.isGone = true }
  }

  // MARK: What is there

  var isPartOfTheFleet: Bool { !state.withLock(\.isGone) }

  func storedVolumes() -> [Inventory.StoredVolume] {
    disk.volumes.map { Inventory.StoredVolume(id: $0.id, backend: "mem", pool: $0.pool, size: $0.size) }
  }

  /// Whose the volumes say that they are.
  func owners() -> [VolumeID: ProjectID] { disk.owners }

  func storedSnapshots() -> [Inventory.StoredSnapshot] {
    disk.snapshots.map {
      Inventory.StoredSnapshot(id: $0.id, volume: $0.volume, backend: "mem", pool: $0.pool, size: $0.size)
    }
  }

  func pool(_ name: String) -> PoolName { PoolName(node: self.name, backend: "mem", pool: name) }

  /// The disks of running instances.
  func livingDisks() -> [InMemoryHypervisorWorld.Slot] { hypervisorWorld.slots.filter(\.isLive) }

  func exportedAttachments() -> Set<AttachmentID> {
    Set(fabric.targets.filter { $0.portal == name }.flatMap { $0.admissions.map(\.attachment) })
  }

  func exportRecords() -> Set<AttachmentID> {
    Set(InMemoryRecordStore(on: exportShelf).all.map(\.attachment))
  }

  func connectionRecords() -> Set<AttachmentID> {
    Set(InMemoryRecordStore(on: connectionShelf).all.map(\.attachment))
  }

  func pluggedAttachments() -> Set<AttachmentID> {
    Set(hypervisorWorld.slots.map(\.disk.attachment))
  }
}

extension InMemoryHypervisorWorld.Slot {
  /// Whether the instance has a device of its node, and no session.
  var isLocal: Bool {
    if case .block = disk.source { true } else { false }
  }
}
