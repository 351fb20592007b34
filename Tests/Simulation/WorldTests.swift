import HashTreeCollections
import PumiceCoordinator
import PumiceModel
import Synchronization
import Testing

/// The simulation itself has to be trusted first.
@Suite struct WorldTests {
  @Test func sleepTakesSimulatedTimeOnly() async throws {
    let world = World(seed: 1)
    let process = Process("p", in: world)
    let woken = Mutex<Timestamp?>(nil)
    let start = world.now
    let box = Box(woken)
    process.start {
      try? await world.sleep(.seconds(3600))
      box.value.withLock { $0 = world.now }
    }
    let clock = ContinuousClock.now
    world.run(for: .seconds(7200))
    #expect(box.value.withLock { $0 } == start + .seconds(3600))
    #expect(ContinuousClock.now - clock < .seconds(60))
  }

  @Test func theSameSeedGivesTheSameRun() async throws {
    func trace(_ seed: UInt64) -> [String] {
      let world = World(seed: seed)
      let log = Box(Mutex<[String]>([]))
      for name in ["a", "b", "c"] {
        Process(name, in: world).start {
          await withTaskGroup(of: Void.self) { group in
            for number in 0..<5 {
              group.addTask {
                try? await world.sleep(.milliseconds(world.random(0...20)))
                log.value.withLock { $0.append("\(name)\(number)@\(world.now.milliseconds)") }
              }
            }
          }
        }
      }
      world.run(for: .seconds(1))
      return log.value.withLock { $0 }
    }
    #expect(trace(7).count == 15)
    #expect(trace(7) == trace(7))
    #expect(trace(7) != trace(8))
  }

  @Test func aKilledProcessNeverTakesAnotherStep() async throws {
    let world = World(seed: 3)
    let process = Process("p", in: world)
    let steps = Box(Mutex(0))
    process.start {
      while true {
        try? await world.sleep(.seconds(1))
        steps.value.withLock { $0 += 1 }
      }
    }
    world.run(for: .seconds(10))
    let before = steps.value.withLock { $0 }
    #expect(before >= 9)
    process.kill()
    world.run(for: .seconds(10))
    #expect(steps.value.withLock { $0 } == before)
  }

  @Test func theCoordinatorRunsInTheWorld() async throws {
    let fleet = Fleet(seed: 5, nodes: 1)
    fleet.startCoordinator()
    fleet.world.run(for: .seconds(5))
    let tables = try #require(fleet.coordinator?.store.tables)
    #expect(Set(tables.types.values.map(\.name)) == [VolumeType.defaultName, OrderDesk.typeForSeveral])
  }

  private final class Box<Value: Sendable>: Sendable {
    let value: Mutex<Value>
    init(_ value: consuming Mutex<Value>) { self.value = value }
  }
}
