import HashTreeCollections
import Logging
import PumiceAgent
import PumiceCoordinator
import PumiceModel
import PumiceWire
import Synchronization

/// A simulated fleet: one real coordinator, some real agents over in-memory drivers, and a network between them.
final class Fleet: Sendable {
  private struct State {
    var coordinator: Coordinator?
    var nodes: [SimulatedNode] = []
  }

  /// The coordinator's process and what runs in it.
  struct Coordinator: Sendable {
    let process: Process
    let store: Store
    let watch: NodeWatch
  }

  let world: World
  let network: Network
  let planted: PlantedFault?
  let journal: any Journal
  let fabric = InMemoryFabric()
  let policy: Policy
  private let state = Mutex(State())

  init(seed: UInt64, nodes: Int, planted: PlantedFault? = nil) {
    let world = World(seed: seed)
    self.world = world
    self.planted = planted
    network = Network(world: world)
    policy = Policy(startedAt: world.now)
    let memory = InMemoryJournal { _ in try await world.sleep(.milliseconds(world.random(0...8))) }
    journal = planted == .forgetsCommits ? ForgetfulJournal(memory, world: world) : memory
    for number in 1...nodes {
      state.withLock {
        $0.nodes.append(
          SimulatedNode(
            name: "n\(number)", hasDevices: number % 2 == 0, world: world, fabric: fabric, planted: planted))
      }
    }
  }

  var coordinator: Coordinator? { state.withLock { $0.coordinator }.flatMap { $0.process.isAlive ? $0 : nil } }
  var nodes: [SimulatedNode] { state.withLock { $0.nodes } }
  var surroundings: Surroundings {
    Surroundings(
      now: { [world] in world.now }, sleep: { [world] in try await world.sleep($0) }, dice: Dice(world: world))
  }

  func node(_ name: NodeName) -> SimulatedNode? { nodes.first { $0.name == name } }

  // MARK: Life and death

  func startCoordinator() {
    let process = Process("coordinator", in: world)
    var policy = policy
    policy.startedAt = world.now
    let surroundings = surroundings
    process.start { [self, policy] in
      guard let store = try? await Store.open(journal) else { return }
      let directory = Directory(fleet: self)
      let watch = NodeWatch(
        store: store, directory: directory, policy: policy, surroundings: surroundings, logger: .silent)
      let reconciler = Reconciler(
        store: store, directory: directory, policy: policy, surroundings: surroundings, logger: .silent)
      await withTaskGroup(of: Void.self) { group in
        group.addTask { try? await store.run() }
        try? await store.write { tables in
          tables.ensureDefaultType(at: surroundings.now(), in: surroundings)
          guard tables.type(named: OrderDesk.typeForSeveral) == nil else { return }
          tables.put(
            GroupType(
              id: surroundings.newID(), name: OrderDesk.groupType, specs: [GroupType.consistency: "<is> True"],
              createdAt: surroundings.now()))
          tables.put(
            VolumeType(
              id: surroundings.newID(), name: OrderDesk.typeForSeveral, extraSpecs: ["multiattach": "<is> True"],
              createdAt: surroundings.now()))
        }
        state.withLock { $0.coordinator = Coordinator(process: process, store: store, watch: watch) }
        group.addTask { try? await watch.run() }
        group.addTask { try? await reconciler.run() }
      }
    }
  }

  func startNodes() {
    for node in nodes { start(node) }
  }

  func start(_ node: SimulatedNode) { node.start(reportingTo: Sink(fleet: self)) }

  /// The operator's word on machines that never come back; repeated until it is written.
  func declareGoneNodesLost() {
    guard let coordinator else { return }
    for node in nodes where !node.isPartOfTheFleet && coordinator.store.tables.nodes[node.name]?.isLost == false {
      let now = world.now
      coordinator.process.start {
        try? await coordinator.store.write { try $0.setNode(node.name, isLost: true, at: now) }
      }
    }
  }

  /// A coordinator's view of the nodes' agents.
  private struct Directory: NodeDirectory {
    let fleet: Fleet

    func node(_ name: NodeName, at address: String) -> any NodeAPI {
      RemoteNode(name: name, network: fleet.network) { [fleet] in fleet.node(name)?.receiver }
    }
  }

  /// An agent's view of the coordinator.
  struct Sink: ReportSink {
    let fleet: Fleet

    func send(_ report: NodeReport) async throws(StorageError) {
      let world = fleet.world
      do {
        try await world.sleep(.milliseconds(world.random(1...60)))
        guard !world.chance(fleet.network.weather.lostRequest), let coordinator = fleet.coordinator else {
          throw StorageError(.unavailable, "The coordinator does not answer.")
        }
        let policy = fleet.policy
        coordinator.process.start {
          try? await coordinator.store.write { try $0.observe(report, policy: policy, at: world.now) }
        }
      } catch {
        throw StorageError.wrap(error, "Reporting")
      }
    }
  }
}

/// The world's dice as a generator.
struct Dice: RandomNumberGenerator, Sendable {
  let world: World
  func next() -> UInt64 { world.roll() }
}

extension Logger {
  static let silent = Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() }
}
