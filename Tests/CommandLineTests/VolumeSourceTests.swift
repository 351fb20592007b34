import Testing

@testable import pumice

/// Volumes from snapshots and volumes, and back to snapshots.
struct VolumeSourceTests {
  private static let action = "POST /v3/p/volumes/\(Fixture.volumeID)/action"
  private static let snapshotsOfIt = "GET \(Fixture.snapshots)?volume_id=\(Fixture.volumeID)"
  private static let reverts: [String: [ScriptedCoordinator.Answer]] = [
    Fixture.show: [
      Fixture.one(Fixture.volume("available")), Fixture.one(Fixture.volume("reverting")),
      Fixture.one(Fixture.volume("available")),
    ],
    Fixture.showSnapshot: [Fixture.one(snapshot: Fixture.snapshot("available"))],
    snapshotsOfIt: [
      Fixture.snapshotList(
        Fixture.snapshot("available", createdAt: "2026-01-02T00:00:00.000000"),
        Fixture.snapshot("error", name: "broken", id: Fixture.otherID, createdAt: "2026-01-03T00:00:00.000000"),
        Fixture.snapshot("available", name: "old", id: Fixture.otherSnapshotID))
    ],
    action: [.init(status: 202, body: "")],
    Fixture.explain: [Fixture.messages()],
  ]

  @Test func theSizeIsThatOfTheSourceUnlessGiven() async throws {
    var created = Fixture.volume("creating", name: "copy", id: Fixture.otherID).object
    created["snapshot_id"] = .string(Fixture.snapshotID)
    let script: [String: [ScriptedCoordinator.Answer]] = [
      "GET \(Fixture.snapshots)?name=nightly": [Fixture.snapshotList(Fixture.snapshot("available"))],
      Fixture.show: [Fixture.one(Fixture.volume("available"))],
      "POST /v3/p/volumes": [Fixture.one(.object(created), status: 202)],
    ]
    let (run, calls) = try await run("volume", "create", "copy", "--snapshot", "nightly", against: script)
    #expect(run.status == .ok)
    #expect(run.output.contains("made from          snapshot \(Fixture.snapshotID)"))
    #expect(calls.last?.body == ["volume": ["name": "copy", "snapshot_id": .string(Fixture.snapshotID)]])
    let (_, more) = try await CommandRun.scripted(
      ["volume", "create", "copy", "--source", Fixture.volumeID, "--size", "50"], against: script)
    #expect(
      more.last?.body == ["volume": ["name": "copy", "source_volid": .string(Fixture.volumeID), "size": 50]])
  }

  @Test func aLongCopyShowsHowFarItIs() async throws {
    let (run, _) = try await run(
      "volume", "create", "db", "--snapshot", Fixture.snapshotID, "--wait",
      against: [
        Fixture.showSnapshot: [Fixture.one(snapshot: Fixture.snapshot("available"))],
        "POST /v3/p/volumes": [Fixture.one(Fixture.volume("creating"), status: 202)],
        Fixture.show: [Fixture.one(Fixture.volume("creating")), Fixture.one(Fixture.volume("available"))],
        Fixture.explain: [.json(["progress": .number(0.25)] as [String: JSONValue])],
      ])
    #expect(run.status == .ok)
    #expect(run.progress.first?.hasPrefix("Volume db: creating, 25 % (") == true)
  }

  @Test func revertTakesTheLatestSnapshotThatIsThere() async throws {
    let (run, calls) = try await run("volume", "revert", Fixture.volumeID, "--yes", against: Self.reverts)
    #expect(run.status == .ok)
    #expect(run.output == "Volume db is being reverted to snapshot nightly.")
    let action = try #require(calls.last)
    #expect(action.body == ["revert": ["snapshot_id": .string(Fixture.snapshotID)]])
    #expect(action.version == "volume 3.40")
  }

  @Test func withoutYesRevertOnlySaysWhatWouldBeLost() async throws {
    let (run, calls) = try await run("volume", "revert", Fixture.volumeID, against: Self.reverts)
    #expect(run.status == .usage)
    #expect(run.errors.contains("nightly, taken 2026-01-02T00:00:00") && run.errors.contains("--yes"))
    #expect(!calls.contains { $0.line.hasPrefix("POST") })
  }

  @Test func revertWaitsUntilTheVolumeIsAvailable() async throws {
    let (run, _) = try await run(
      "volume", "revert", Fixture.volumeID, Fixture.snapshotID, "--yes", "--wait", "--quiet", against: Self.reverts)
    #expect(run.status == .ok && run.output == Fixture.volumeID)
    #expect(run.progress.first?.hasPrefix("Volume db: reverting") == true)
  }

  @Test func aRevertThatFailedSaysWhyAndOldMessagesDoNotCount() async throws {
    var script = Self.reverts
    script[Fixture.explain] = [Fixture.messages("It was busy.")]
    let arguments = ["volume", "revert", Fixture.volumeID, "--yes", "--wait"]
    #expect(try await CommandRun.scripted(arguments, against: script).0.status == .ok)
    script[Fixture.explain] = [
      Fixture.messages("It was busy."), Fixture.messages("It was busy."),
      Fixture.messages("It was busy.", "The pool is full."),
    ]
    let (failed, _) = try await CommandRun.scripted(arguments, against: script)
    #expect(failed.status == .failed)
    #expect(failed.errors == "pumice: Volume db could not be reverted: The pool is full.")
  }

  @Test func aSnapshotOfAnotherVolumeIsRefused() async throws {
    var script = Self.reverts
    script[Fixture.showSnapshot] = [
      Fixture.one(snapshot: Fixture.snapshot("available", of: Fixture.otherID))
    ]
    let (run, calls) = try await CommandRun.scripted(
      ["volume", "revert", Fixture.volumeID, Fixture.snapshotID, "--yes"], against: script)
    #expect(run.status == .conflict)
    #expect(run.errors.contains(Fixture.otherID))
    #expect(!calls.contains { $0.line.hasPrefix("POST") })
  }

  @Test func aSnapshotsNameIsLookedUpAmongThoseOfTheVolume() async throws {
    var script = Self.reverts
    script["\(Self.snapshotsOfIt)&name=nightly"] = [
      Fixture.snapshotList(Fixture.snapshot("available"), Fixture.snapshot("available", id: Fixture.otherSnapshotID))
    ]
    let (run, _) = try await CommandRun.scripted(
      ["volume", "revert", Fixture.volumeID, "nightly", "--yes"], against: script)
    #expect(run.status == .conflict)
    #expect(run.errors.contains("is the name of 2 snapshots"))
  }

  @Test func aVolumeWithoutSnapshotsCannotBeReverted() async throws {
    var script = Self.reverts
    script[Self.snapshotsOfIt] = [Fixture.snapshotList(Fixture.snapshot("creating"))]
    let (run, _) = try await CommandRun.scripted(["volume", "revert", Fixture.volumeID, "--yes"], against: script)
    #expect(run.status == .conflict)
    #expect(run.errors == "pumice: Volume db has no snapshot that is available.")
  }
}
