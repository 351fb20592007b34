import Logging
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

@Suite struct LeftoversTests {
  private let fixture = NodeFixture()
  private let kernel = FakeKernel()
  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  private func start() -> NodeService {
    let inner = fixture.start()
    var drivers = inner.drivers
    drivers.connector = DeviceConnectorDouble(kernel: kernel)
    return NodeService(
      inner.identity, drivers: drivers, exports: inner.exports, connections: inner.connections, logger: .silent)
  }

  @Test func theInventoryTellsOfThemAndTheDigestDoesNot() async throws {
    let node = start()
    let before = try await node.report().inventoryDigest
    kernel.sessions.withLock { $0 = [attachment] }
    #expect(try await node.inventory().leftovers?.map(\.attachment) == [attachment])
    #expect(try await node.report().inventoryDigest == before)
  }

  @Test func aConnectionWithARecordIsNone() async throws {
    let node = start()
    try await fixture.attach(volume, attachment, by: node)
    #expect(kernel.sessions.withLock { $0 } == [attachment])
    #expect(try await node.inventory().leftovers == [])
  }

  @Test func whatAnInstanceHasIsNoneEvenIfItsRecordIsLost() async throws {
    let node = start()
    try await fixture.attach(volume, attachment, by: node)
    try await node.connections.remove(attachment)
    #expect(try await node.inventory().leftovers == [])
    #expect(await node.sweep(known: [attachment]) == [])
    #expect(kernel.sessions.withLock { $0 } == [attachment])
  }

  @Test func nothingIsTakenAwayWhileInstancesCantBeAsked() async throws {
    let node = start()
    kernel.sessions.withLock { $0 = [attachment] }
    let known = await node.sweep(known: [])
    fixture.faults.fail(at: "hypervisor.disks")
    #expect(await node.sweep(known: known) == known)
    #expect(kernel.sessions.withLock { $0 } == [attachment])
  }

  @Test func anAgentWithoutDevicesDoesNotLook() async throws {
    #expect(try await fixture.start().inventory().leftovers == nil)
  }

  @Test func aSecondSweepTakesWhatTheFirstHasFound() async throws {
    let node = start()
    kernel.sessions.withLock { $0 = [attachment] }
    let known = await node.sweep(known: [])
    #expect(known == [attachment])
    #expect(kernel.sessions.withLock { $0 } == [attachment])
    #expect(await node.sweep(known: known) == [])
    #expect(kernel.sessions.withLock { $0 }.isEmpty)
  }

  @Test func whatGotARecordMeanwhileStays() async throws {
    let node = start()
    kernel.sessions.withLock { $0 = [attachment] }
    let known = await node.sweep(known: [])
    try await fixture.attach(volume, attachment, by: node)
    #expect(await node.sweep(known: known) == [])
    #expect(kernel.sessions.withLock { $0 } == [attachment])
  }

  @Test func whatIsInUseStaysAndIsTriedAgain() async throws {
    let node = start()
    kernel.sessions.withLock { $0 = [attachment] }
    kernel.inUse.withLock { $0 = [attachment] }
    let known = await node.sweep(known: [attachment])
    #expect(known == [attachment])
    kernel.inUse.withLock { $0 = [] }
    #expect(await node.sweep(known: known) == [])
  }

  @Test func devicesAreThereAfterARebootAlsoForInstancesThatDoNotRun() async throws {
    try await fixture.attach(volume, attachment, by: start())
    fixture.hypervisorWorld.shutOff(fixture.instance)
    kernel.sessions.withLock { $0 = [] }
    #expect(await start().restore().isComplete)
    #expect(kernel.sessions.withLock { $0 } == [attachment])
  }

  @Test func devicesAreThereBeforeTheHypervisorIs() async throws {
    try await fixture.attach(volume, attachment, by: start())
    kernel.sessions.withLock { $0 = [] }
    fixture.faults.fail(at: "hypervisor.disks")
    #expect(await !start().restore().isComplete)
    #expect(kernel.sessions.withLock { $0 } == [attachment])
  }

  @Test func whatIsLeavingIsNotBroughtBack() async throws {
    let node = start()
    try await fixture.attach(volume, attachment, by: node)
    fixture.faults.fail(at: "hypervisor.unplug")
    await #expect(throws: StorageError.self) {
      try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    }
    kernel.sessions.withLock { $0 = [] }
    _ = await start().restore()
    #expect(kernel.sessions.withLock { $0 }.isEmpty)
  }

  @Test func theServiceSweepsUntilItIsEnded() async throws {
    let node = start()
    kernel.sessions.withLock { $0 = [attachment] }
    let pauses = Shared(0)
    let sweep = Sweep(
      node: node,
      sleep: { pause in
        pauses.withLock { $0 += 1 }
        #expect(pause == .seconds(60))
        try await Task.sleep(for: .milliseconds(1))
      })
    try await withThrowingTaskGroup { group in
      group.addTask { try await sweep.run() }
      try await eventually { pauses.withLock { $0 } > 2 }
      group.cancelAll()
    }
    #expect(kernel.sessions.withLock { $0 }.isEmpty)
  }
}

/// What a kernel would hold; it outlives the agents on it.
private final class FakeKernel: Sendable {
  let sessions = Shared<Set<AttachmentID>>([])
  let inUse = Shared<Set<AttachmentID>>([])
}

private struct DeviceConnectorDouble: DeviceConnector {
  let kernel: FakeKernel
  let description = ConnectorDescription(
    kind: "double", protocolName: "memory", initiator: "iqn.2026-11.test:n1", namesInitiatorPerAttachment: true)

  func connect(_ attachment: AttachmentID, _ request: ConnectionRequest) async throws(StorageError) -> DiskSource {
    kernel.sessions.withLock { _ = $0.insert(attachment) }
    return .block(path: "/dev/pumice/\(attachment)")
  }

  func disconnect(_ attachment: AttachmentID) async throws(StorageError) {
    if kernel.inUse.withLock({ $0.contains(attachment) }) { throw StorageError(.inUse, "It is in use.") }
    kernel.sessions.withLock { _ = $0.remove(attachment) }
  }

  func leftovers(
    unless isWanted: @Sendable (AttachmentID) -> Bool
  ) async throws(StorageError) -> [Inventory.Leftover] {
    kernel.sessions.withLock { $0 }.filter { !isWanted($0) }.sorted().map {
      Inventory.Leftover(kind: .leakedSession, attachment: $0, name: "session", detail: "It was left.")
    }
  }
}
