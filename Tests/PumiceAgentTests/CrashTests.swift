import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// An agent that dies between any two steps of any call, and the one that comes after it.
@Suite struct CrashTests {
  /// How the next agent gets on: by the same call again, or by the removal of everything.
  enum Sequel: CaseIterable { case again, removal }

  private let volume = VolumeID.random()
  private let attachment = AttachmentID.random()

  @Test(arguments: Sequel.allCases)
  func anAttachThatDiesAnywhereIsFinishedOrTakenBack(sequel: Sequel) async throws {
    try await everywhere(
      dying: { fixture, node in try await fixture.attach(volume, attachment, by: node) },
      then: { fixture, node in
        switch sequel {
        case .again:
          try await fixture.attach(volume, attachment, by: node)
          #expect(fixture.hypervisorWorld.slot(attachment, in: fixture.instance)?.disk.volume == volume)
          #expect(fixture.fabric.sessions.count == 1)
        case .removal:
          try await detach(fixture, node)
          expectNothing(on: fixture)
        }
      })
  }

  @Test func aDetachThatDiesAnywhereIsFinished() async throws {
    try await everywhere(
      after: { fixture, node in try await fixture.attach(volume, attachment, by: node) },
      dying: { fixture, node in try await detach(fixture, node) },
      then: { fixture, node in
        try await detach(fixture, node)
        expectNothing(on: fixture)
      })
  }

  @Test func anExtendThatDiesAnywhereIsFinished() async throws {
    let size = ByteCount.gibibytes(5)
    try await everywhere(
      after: { fixture, node in try await fixture.attach(volume, attachment, by: node) },
      dying: { fixture, node in try await extend(fixture, node, to: size) },
      then: { fixture, node in
        try await extend(fixture, node, to: size)
        #expect(try await node.inventory().volumes.map(\.size) == [size])
        #expect(fixture.fabric.targets.map(\.size) == [size])
        #expect(fixture.hypervisorWorld.slot(attachment, in: fixture.instance)?.size == size)
      })
  }

  @Test func whatIsOnItsWayOutIsNeverRestored() async throws {
    let fixture = NodeFixture()
    var node = fixture.start()
    try await fixture.attach(volume, attachment, by: node)
    fixture.faults.fail(at: "exporter.remove.ended")
    fixture.faults.fail(at: "hypervisor.unplug.live")
    await #expect(throws: StorageError.self) {
      try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    }
    await #expect(throws: StorageError.self) {
      try await node.removeExport(attachment, ExportRemoval(revision: 3))
    }
    fixture.faults.clear()
    node = fixture.start()
    #expect(await node.restore() == NodeService.RestorationOutcome())
    #expect(fixture.fabric.targets.flatMap(\.admissions).isEmpty)
    #expect(fixture.hypervisorWorld.slot(attachment, in: fixture.instance)?.isStored == false)
  }

  // MARK: Steps

  private func detach(_ fixture: NodeFixture, _ node: NodeService) async throws {
    try await node.removeConnection(attachment, ConnectionRemoval(revision: 2, instance: fixture.instance))
    try await node.removeExport(attachment, ExportRemoval(revision: 3))
    _ = try await node.removeVolume(volume, fixture.removal(3))
  }

  private func extend(_ fixture: NodeFixture, _ node: NodeService, to size: ByteCount) async throws {
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(2, size: size))
    let target = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    _ = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target, size: size))
  }

  private func expectNothing(on fixture: NodeFixture) {
    #expect(fixture.disk.contents.isEmpty)
    #expect(fixture.fabric.targets.isEmpty)
    #expect(fixture.fabric.sessions.isEmpty)
    #expect(fixture.pluggedAttachments.isEmpty)
    #expect(fixture.exportRecords.isEmpty)
    #expect(fixture.connectionRecords.isEmpty)
  }

  /// Lets `deed` die after each number of steps in turn, on a machine of its own; restarts the agent, restores, goes on.
  private func everywhere(
    after prepare: (NodeFixture, NodeService) async throws -> Void = { _, _ in },
    dying deed: (NodeFixture, NodeService) async throws -> Void,
    then sequel: (NodeFixture, NodeService) async throws -> Void
  ) async throws {
    var deaths = 0
    while true {
      let fixture = NodeFixture()
      var node = fixture.start()
      try await prepare(fixture, node)
      fixture.faults.clear()
      fixture.faults.fail(afterSteps: deaths)
      do { try await deed(fixture, node) } catch is StorageError {}
      if fixture.faults.isPending { break }
      fixture.faults.clear()
      node = fixture.start()
      #expect(await node.restore().isComplete, "after \(deaths) steps")
      try await sequel(fixture, node)
      deaths += 1
    }
    // If this were few, the test would have tested nothing.
    #expect(deaths > 8)
  }
}
