import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// An agent that dies between any two steps of any call, and the one that comes after it.
@Suite struct CrashTests {
  /// How the next agent gets on: by the same call again, or by the removal of everything.
  enum Sequel: CaseIterable { case again, removal }

  private let volume = VolumeID.random()
  private let other = VolumeID.random()
  private let third = VolumeID.random()
  private let snapshot = SnapshotID.random()
  private let attachment = AttachmentID.random()

  @Test(arguments: Sequel.allCases, [false, true])
  func anAttachThatDiesAnywhereIsFinishedOrTakenBack(sequel: Sequel, isLocal: Bool) async throws {
    try await everywhere(
      isLocal: isLocal,
      dying: { fixture, node in try await fixture.attach(volume, attachment, by: node) },
      then: { fixture, node in
        switch sequel {
        case .again:
          try await fixture.attach(volume, attachment, by: node)
          #expect(fixture.hypervisorWorld.slot(attachment, in: fixture.instance)?.disk.volume == volume)
          #expect(fixture.fabric.sessions.count == (isLocal ? 0 : 1))
          #expect(fixture.disk.active == (isLocal ? [volume] : []))
        case .removal:
          try await detach(fixture, node)
          expectNothing(on: fixture)
        }
      })
  }

  @Test(arguments: [false, true]) func aDetachThatDiesAnywhereIsFinished(isLocal: Bool) async throws {
    try await everywhere(
      isLocal: isLocal,
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

  @Test(arguments: Sequel.allCases, [1, 3])
  func aSnapshotThatDiesAnywhereIsTakenOrTakenBack(sequel: Sequel, slices: Int) async throws {
    try await everywhere(
      slices: slices, atLeast: 3,
      after: { fixture, node in
        try await fixture.attach(volume, attachment, by: node)
        fixture.disk.write(1, to: volume)
      },
      dying: { fixture, node in try await take(fixture, node) },
      then: { fixture, node in
        switch sequel {
        case .again:
          try await take(fixture, node)
          fixture.disk.write(2, to: volume)
          #expect(fixture.disk.snapshots.map(\.content.stamp) == [1])
          #expect(try await node.inventory().snapshots.map(\.id) == [snapshot])
        case .removal:
          try await settle { try await node.removeSnapshot(snapshot, fixture.snapshotRemoval(volume, 2)) }
          try await detach(fixture, node)
          expectNothing(on: fixture)
        }
      })
  }

  @Test(arguments: Sequel.allCases, [1, 3])
  func aCopyThatDiesAnywhereIsMadeOrTakenBack(sequel: Sequel, slices: Int) async throws {
    try await everywhere(
      slices: slices, atLeast: 3,
      after: { fixture, node in
        _ = try await node.ensureVolume(volume, fixture.volumeRequest())
        fixture.disk.write(1, to: volume)
        try await take(fixture, node)
        fixture.disk.write(2, to: volume)
      },
      dying: { fixture, node in try await copy(fixture, node) },
      then: { fixture, node in
        switch sequel {
        case .again:
          try await copy(fixture, node)
          #expect(fixture.disk.content(of: other) == InMemoryDisk.Content(stamp: 1, length: .gibibytes(1)))
          #expect(fixture.disk.content(of: third) == InMemoryDisk.Content(stamp: 2, length: .gibibytes(1)))
        case .removal:
          for id in [other, third] { try await settle { try await node.removeVolume(id, fixture.removal(2)) } }
          #expect(fixture.disk.contents == [volume])
        }
        #expect(fixture.disk.snapshots.map(\.content.stamp) == [1])
        #expect(fixture.disk.content(of: volume)?.stamp == 2)
      })
  }

  @Test(arguments: [1, 3])
  func aRevertThatDiesAnywhereIsDoneOrNotAndANewerCallKeepsItOut(slices: Int) async throws {
    for isSettled in [false, true] {
      try await everywhere(
        slices: slices, atLeast: 3,
        after: { fixture, node in
          _ = try await node.ensureVolume(volume, fixture.volumeRequest())
          fixture.disk.write(1, to: volume)
          try await take(fixture, node)
          fixture.disk.write(2, to: volume)
        },
        dying: { fixture, node in try await revert(fixture, node) },
        then: { fixture, node in
          let before = try #require(fixture.disk.content(of: volume)?.stamp)
          #expect(before == 1 || before == 2)
          if isSettled {
            _ = try await node.ensureVolume(volume, fixture.volumeRequest(5))
            await #expect(throws: StorageError.self) { try await revert(fixture, node) }
            #expect(fixture.disk.content(of: volume)?.stamp == before)
          } else {
            try await revert(fixture, node)
            #expect(fixture.disk.content(of: volume)?.stamp == 1)
            fixture.disk.write(3, to: volume)
            try await revert(fixture, node)
            #expect(fixture.disk.content(of: volume)?.stamp == 3)
          }
          #expect(fixture.disk.snapshots.map(\.content.stamp) == [1])
        })
    }
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
    try await settle { try await node.removeVolume(volume, fixture.removal(3)) }
  }

  private func take(_ fixture: NodeFixture, _ node: NodeService) async throws {
    try await settle { try await node.ensureSnapshot(snapshot, fixture.snapshotRequest(volume)) }
  }

  /// Two: one of the snapshot, and one of the volume.
  private func copy(_ fixture: NodeFixture, _ node: NodeService) async throws {
    for (id, source) in [(other, VolumeSource.snapshot(snapshot, of: volume)), (third, .volume(volume))] {
      try await settle { try await node.ensureVolume(id, fixture.volumeRequest(source: source)) }
    }
  }

  private func revert(_ fixture: NodeFixture, _ node: NodeService) async throws {
    try await settle { try await node.revertVolume(volume, fixture.revertRequest(4, to: snapshot)) }
  }

  private func settle(_ body: () async throws -> Progress) async throws {
    while try await !body().isComplete {}
  }

  private func extend(_ fixture: NodeFixture, _ node: NodeService, to size: ByteCount) async throws {
    _ = try await node.ensureVolume(volume, fixture.volumeRequest(2, size: size))
    let target = try await node.ensureExport(attachment, fixture.exportRequest(volume, attachment))
    _ = try await node.ensureConnection(attachment, fixture.connectionRequest(volume, target, size: size))
  }

  private func expectNothing(on fixture: NodeFixture) {
    #expect(fixture.disk.contents.isEmpty)
    #expect(fixture.disk.snapshotContents.isEmpty)
    #expect(fixture.fabric.targets.isEmpty)
    #expect(fixture.fabric.sessions.isEmpty)
    #expect(fixture.pluggedAttachments.isEmpty)
    #expect(fixture.exportRecords.isEmpty)
    #expect(fixture.connectionRecords.isEmpty)
    #expect(fixture.disk.active.isEmpty)
  }

  /// Lets `deed` die after each number of steps in turn, on a machine of its own; restarts the agent, restores, goes on.
  private func everywhere(
    isLocal: Bool = false, slices: Int = 1, atLeast expected: Int = 9,
    after prepare: (NodeFixture, NodeService) async throws -> Void = { _, _ in },
    dying deed: (NodeFixture, NodeService) async throws -> Void,
    then sequel: (NodeFixture, NodeService) async throws -> Void
  ) async throws {
    var deaths = 0
    while true {
      let fixture = NodeFixture(isLocal: isLocal)
      var node = fixture.start(slices: slices)
      try await prepare(fixture, node)
      fixture.faults.clear()
      fixture.faults.fail(afterSteps: deaths)
      do { try await deed(fixture, node) } catch is StorageError {}
      if fixture.faults.isPending { break }
      fixture.faults.clear()
      node = fixture.start(slices: slices)
      #expect(await node.restore().isComplete, "after \(deaths) steps")
      try await sequel(fixture, node)
      deaths += 1
    }
    // If this were few, the test would have tested nothing.
    #expect(deaths >= expected)
  }
}
