import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct RestorationTests {
  private let fixture = NodeFixture()
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  @Test func exportsComeBackWithTheirSecretAndNoCoordinator() async throws {
    try await fixture.attach(volume, attachment, by: fixture.start())
    let secret = fixture.exportRecords[0].export.chapSecret
    fixture.fabric.forgetTargets(at: "n1")
    let outcome = await fixture.start().restore()
    #expect(outcome.isComplete && outcome.restored == 2)
    #expect(fixture.fabric.targets.flatMap(\.admissions).map(\.chapSecret) == [secret])
  }

  @Test func aMissingVolumeIsSaidAndTheOthersAreRestored() async throws {
    let (other, lost) = (AttachmentID.random(), VolumeID.random())
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    _ = try await node.ensureVolume(lost, fixture.volumeRequest())
    _ = try await node.ensureExport(other, fixture.exportRequest(lost, other))
    _ = try await InMemoryBackend(name: "mem", disk: fixture.disk).remove(lost, pool: "mem")
    fixture.fabric.forgetTargets(at: "n1")
    let outcome = await fixture.start().restore()
    #expect(Array(outcome.failures.keys) == [other])
    #expect(fixture.fabric.targets.map(\.volume) == [volume])
    #expect(fixture.exportRecords.count == 2)
  }

  @Test func aDiskThatIsNotPluggedIsNotPluggedByARestoration() async throws {
    let node = fixture.start()
    fixture.faults.fail(at: "hypervisor.plug")
    await #expect(throws: StorageError.self) { try await fixture.attach(volume, attachment, by: node) }
    fixture.faults.clear()
    _ = await fixture.start().restore()
    #expect(fixture.pluggedAttachments.isEmpty)
  }

  @Test func theServiceTriesUntilItSucceeds() async throws {
    try await fixture.attach(volume, attachment, by: fixture.start())
    fixture.fabric.forgetTargets(at: "n1")
    fixture.faults.fail(at: "exporter.ensure")
    let pauses = Shared<[Duration]>([])
    let faults = fixture.faults
    let restoration = Restoration(
      node: fixture.start(), logger: .silent,
      sleep: { pause in
        let count = pauses.withLock {
          $0.append(pause)
          return $0.count
        }
        if count == 4 { faults.clear() }
      })
    try await running(restoration) { !fixture.fabric.targets.isEmpty }
    #expect(pauses.withLock { $0.prefix(4) } == [.seconds(1), .seconds(2), .seconds(4), .seconds(8)])
  }

  @Test func theServiceRestoresAgainWhenItIsAskedTo() async throws {
    try await fixture.attach(volume, attachment, by: fixture.start())
    let passes = Shared(0)
    let restoration = Restoration(node: fixture.start(), logger: .silent, afterPass: { passes.withLock { $0 += 1 } })
    try await running(restoration) {
      passes.withLock { $0 } == 1
    } then: {
      fixture.fabric.forgetTargets(at: "n1")
      restoration.begin()
    } until: {
      !fixture.fabric.targets.isEmpty
    }
  }

  @Test func aHypervisorThatIsBackStartsARestoration() async throws {
    let node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    try await watching(node) { passes in
      // The watch may not listen yet: an event that nobody hears is sent again.
      try await eventually {
        fixture.hypervisorWorld.send(.reconnected)
        return passes.withLock { $0 } > 1
      }
    }
  }
}

/// Restores the node, as often as its hypervisor gives a reason to; begins `body`, with the count of that, after the first time.
func watching(_ node: NodeService, _ body: (Shared<Int>) async throws -> Void) async throws {
  let passes = Shared(0)
  let restoration = Restoration(node: node, logger: .silent, afterPass: { passes.withLock { $0 += 1 } })
  let hypervisor = try #require(node.drivers.hypervisor)
  let watch = HypervisorWatch(hypervisor: hypervisor, restoration: restoration, reporter: nil, logger: .silent)
  try await withThrowingTaskGroup { group in
    group.addTask { try await restoration.run() }
    group.addTask { try await watch.run() }
    try await eventually { passes.withLock { $0 } == 1 }
    try await body(passes)
    group.cancelAll()
  }
}

/// Runs a service until the condition holds, and ends it.
func running(
  _ service: Restoration, until condition: @escaping () -> Bool, then action: () -> Void = {},
  until second: @escaping () -> Bool = { true }
) async throws {
  try await withThrowingTaskGroup { group in
    group.addTask { try await service.run() }
    try await eventually(condition)
    action()
    try await eventually(second)
    group.cancelAll()
  }
}

/// Waits until the condition holds; throws after two minutes: all tests of the package share two cores.
func eventually(_ condition: () async throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(120)
  while try await !condition() {
    guard ContinuousClock.now < deadline else { throw StorageError(.timeout, "It did not come true within 120 s.") }
    try await Task.sleep(for: .milliseconds(5))
  }
}
