import HashTreeCollections
import PumiceAgent
import PumiceCoordinator
import PumiceModel

/// One run: a seed, a fleet, users, bad luck, and then a calm in which everything has to come right.
struct Simulation {
  let fleet: Fleet
  private let workload: Workload
  private let contents: Contents
  private let invariants: Invariants
  private var world: World { fleet.world }

  init(seed: UInt64, planted: PlantedFault? = nil) {
    let nodes = Int(seed % 3) + 1
    fleet = Fleet(seed: seed, nodes: nodes, planted: planted)
    contents = Contents(fleet: fleet)
    workload = Workload(fleet: fleet, contents: contents)
    invariants = Invariants(fleet: fleet)
  }

  /// Every violation, with nothing left out; empty for a good run.
  func run() -> [String] {
    var violation: String?
    var look = 0
    let observe = {
      look += 1
      if violation == nil, look % 16 == 0 { violation = invariants.duringTheRun() }
    }
    fleet.startCoordinator()
    fleet.startNodes()
    world.run(for: .seconds(5), observe: observe)

    let orders = world.random(10...60)
    for _ in 0..<orders {
      if let violation = contents.violation() { return [violation] }
      contents.writeFromGuests()
      workload.order()
      if world.chance(35) { misfortune() }
      world.run(for: .milliseconds(world.random(0...6000)), observe: observe)
      if violation != nil { return [violation ?? ""] }
    }

    calm()
    // The last late calls come within two minutes, and their traces are found by the next comparisons.
    world.run(for: .seconds(140), observe: observe)
    for _ in 0..<60 {
      fleet.declareGoneNodesLost()
      world.run(for: .seconds(10), observe: observe)
      if let violation = violation ?? contents.violation() { return [violation] }
      if fleet.coordinator?.store.tables.pending.isEmpty == true, invariants.atTheEnd(workload.made).isEmpty {
        return []
      }
    }
    return invariants.atTheEnd(workload.made)
  }

  private func misfortune() {
    let (world, fleet) = (world, fleet)
    switch world.random(0...11) {
    case 0...3:
      guard let process = fleet.coordinator?.process else { return }
      process.kill(afterSteps: world.random(0...150)) {
        world.at(world.now + .milliseconds(world.random(100...20_000))) { fleet.startCoordinator() }
      }
    case 4...7:
      guard let node = world.pick(fleet.nodes), let process = node.process, process.isAlive else { return }
      process.kill(afterSteps: world.random(0...120)) {
        world.at(world.now + .milliseconds(world.random(100...20_000))) { fleet.start(node) }
      }
    case 8:
      guard let node = world.pick(fleet.nodes), node.process?.isAlive == true else { return }
      node.reboot()
      world.at(world.now + .milliseconds(world.random(1000...30_000))) {
        fleet.start(node)
        if let instance = node.hypervisorWorld.instances.first { node.hypervisorWorld.start(instance.id) }
      }
    case 9...10:
      fleet.network.weather = Weather(lostRequest: 25, lostResponse: 25, doubled: 25, late: 15)
      world.at(world.now + .seconds(world.random(5...40))) { fleet.network.weather = Weather() }
    default:
      guard fleet.nodes.count > 2, fleet.nodes.allSatisfy(\.isPartOfTheFleet) else { return }
      fleet.nodes[2].vanish()
    }
  }

  private func calm() {
    world.at(world.now + .seconds(41)) { [fleet] in fleet.network.weather = .fair }
    fleet.coordinator?.process.spare()
    for node in fleet.nodes { node.process?.spare() }
    // Whoever died before is started again by the timer that its death set.
    world.run(for: .seconds(45))
    fleet.declareGoneNodesLost()
  }
}
