import HTTPTypes
import HashTreeCollections
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceCoordinator

@Suite struct GuestHoldTests {
  private static let vm = Instance(id: .random(), name: "vm", status: .active)

  /// A volume on node n1, attached to an instance of node c1, and a snapshot of it once that is available.
  private func snapshot(
    attached: Bool = true, prepare: @escaping @Sendable (FakeNode, FakeNode) -> Void = { _, _ in },
    _ check: @escaping @Sendable (CoordinatorFixture, SnapshotID) async throws -> Void
  ) async throws {
    try await withCoordinator(
      nodes: [FakeNode("n1"), FakeNode("c1", poolSize: .zero, instances: [Self.vm])]
    ) { (coordinator) async throws in
      let volume = try await coordinator.volume()
      if attached {
        _ = try await coordinator.send(
          .post, "/compute/v2.1/servers/\(Self.vm.id)/os-volume_attachments",
          #"{"volumeAttachment": {"volumeId": "\#(volume)"}}"#)
        try await coordinator.until("it is attached") { $0.holders(of: volume).first?.state == .attached }
      }
      prepare(coordinator.nodes[0], coordinator.nodes[1])
      let snapshot = try await coordinator.snapshot(of: volume, more: #", "force": true"#)
      try await check(coordinator, snapshot)
    }
  }

  private func expect(
    _ consistency: Snapshot.Consistency?, because part: String? = nil, of snapshot: SnapshotID,
    in coordinator: CoordinatorFixture
  ) async throws {
    let row = try #require(coordinator.tables.snapshots[snapshot])
    #expect(row.consistency == consistency)
    if let part {
      #expect(row.consistencyReason?.contains(part) == true, "\(row.consistencyReason ?? "")")
    } else {
      #expect(row.consistencyReason == nil)
    }
    let shown = try await coordinator.get("/v3/demo/snapshots/\(snapshot)")["snapshot"]
    #expect(shown["pumice:consistency"].string == consistency?.rawValue)
    let explained = try await coordinator.get("/pumice/v1/snapshots/\(snapshot)/explain")["snapshot"]
    #expect(explained["consistency"].string == consistency?.rawValue)
    #expect(explained["consistency_reason"].string == row.consistencyReason)
  }

  @Test func aGuestThatHoldsStillMakesAQuiescedSnapshot() async throws {
    try await snapshot { coordinator, snapshot in
      try await expect(.quiesced, of: snapshot, in: coordinator)
      #expect(coordinator.nodes[1].calls == ["freeze \(snapshot) for 10", "thaw \(snapshot)"])
    }
  }

  @Test func aVolumeThatNobodyHasNeedsNoGuest() async throws {
    try await snapshot(attached: false) { coordinator, snapshot in
      try await expect(nil, of: snapshot, in: coordinator)
      #expect(coordinator.nodes[1].calls.isEmpty)
    }
  }

  @Test func aGuestWithoutAgentMakesACrashConsistentOne() async throws {
    try await snapshot { _, compute in
      compute.setGuests(FreezeAnswer(frozen: false, reason: "No guest agent."))
    } _: { coordinator, snapshot in
      try await expect(.crash, because: "No guest agent.", of: snapshot, in: coordinator)
      #expect(coordinator.nodes[1].calls.count == 1, "What is not frozen needs no thaw.")
    }
  }

  @Test func aGuestThatWentOnTooEarlyMakesACrashConsistentOne() async throws {
    try await snapshot { _, compute in
      compute.setGuests(holdStill: false)
    } _: { coordinator, snapshot in
      try await expect(.crash, because: "went on", of: snapshot, in: coordinator)
    }
  }

  @Test func anAnswerThatNeverCameIsFollowedByAThaw() async throws {
    try await snapshot { _, compute in
      compute.setGuests(failure: StorageError(.timeout, "Node c1 does not answer."))
    } _: { coordinator, snapshot in
      try await expect(.crash, because: "does not answer", of: snapshot, in: coordinator)
      #expect(coordinator.nodes[1].calls.last == "thaw \(snapshot)")
    }
  }

  @Test func whatTookMoreThanOneCallClaimsNothing() async throws {
    try await snapshot { storage, _ in
      storage.setSlices(copy: 1)
    } _: { coordinator, snapshot in
      try await expect(.crash, because: "more than one call", of: snapshot, in: coordinator)
      #expect(coordinator.nodes[1].calls.count == 2, "A guest is held once.")
    }
  }
}
