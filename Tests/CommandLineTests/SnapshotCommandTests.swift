import Testing

@testable import pumice

struct SnapshotCommandTests {
  private static let explain = "GET /pumice/v1/snapshots/\(Fixture.snapshotID)/explain"
  private static let showVolume = [Fixture.one(Fixture.volume("in-use"))]
  private static let delete = "DELETE /v3/p/snapshots/\(Fixture.snapshotID)"

  @Test func createSendsWhatTheAPIExpectsAndShowsTheSnapshot() async throws {
    let (run, calls) = try await run(
      "snapshot", "create", Fixture.volumeID, "--name", "nightly", "--description", "d", "--metadata", "a=1",
      "--property", "b=2",
      against: [
        Fixture.show: Self.showVolume,
        "POST /v3/p/snapshots": [Fixture.one(snapshot: Fixture.snapshot("creating"), status: 202)],
      ])
    #expect(run.status == .ok)
    #expect(run.output.contains("status       creating") && run.output.contains("volume       \(Fixture.volumeID)"))
    let post = try #require(calls.last)
    // The first version that takes snapshots of attached volumes without being forced to.
    #expect(post.version == "volume 3.66")
    #expect(
      post.body == [
        "snapshot": [
          "volume_id": .string(Fixture.volumeID), "name": "nightly", "description": "d",
          "metadata": ["a": "1", "b": "2"],
        ]
      ])
  }

  @Test func createWaitsAndShowsHowFarItIs() async throws {
    let (run, calls) = try await run(
      "snapshot", "create", Fixture.volumeID, "--wait", "--quiet",
      against: [
        Fixture.show: Self.showVolume,
        "POST /v3/p/snapshots": [Fixture.one(snapshot: Fixture.snapshot("creating", name: ""), status: 202)],
        Fixture.showSnapshot: [
          Fixture.one(snapshot: Fixture.snapshot("creating", name: "")),
          Fixture.one(snapshot: Fixture.snapshot("available", name: "")),
        ],
        Self.explain: [.json(["progress": .number(0.4)] as [String: JSONValue])],
      ])
    #expect(run.status == .ok && run.output == Fixture.snapshotID)
    #expect(run.progress.first?.hasPrefix("Snapshot \(Fixture.snapshotID): creating, 40 % (") == true)
    #expect(calls.first { $0.line.hasPrefix("POST") }?.body["snapshot"]["name"] == .null)
  }

  @Test func aSnapshotThatCouldNotBeTakenSaysWhy() async throws {
    let (run, _) = try await run(
      "snapshot", "create", Fixture.volumeID, "--wait",
      against: [
        Fixture.show: Self.showVolume,
        "POST /v3/p/snapshots": [Fixture.one(snapshot: Fixture.snapshot("creating"), status: 202)],
        Fixture.showSnapshot: [Fixture.one(snapshot: Fixture.snapshot("error"))],
        Self.explain: [.json(["snapshot": ["failure": "The pool is full."]] as [String: JSONValue])],
      ])
    #expect(run.status == .failed)
    #expect(
      run.errors == "pumice: Snapshot nightly (\(Fixture.snapshotID)) could not be taken: The pool is full.")
  }

  @Test func waitingForASnapshotPointsAtItsOwnExplanation() async throws {
    let (run, _) = try await run(
      "snapshot", "create", Fixture.volumeID, "--wait", "--timeout", "1",
      against: [
        Fixture.show: Self.showVolume,
        "POST /v3/p/snapshots": [Fixture.one(snapshot: Fixture.snapshot("creating"), status: 202)],
        Fixture.showSnapshot: [Fixture.one(snapshot: Fixture.snapshot("creating"))],
      ])
    #expect(run.status == .timeout)
    #expect(run.errors.contains("Snapshot nightly is not done after 1 seconds: creating."))
    #expect(run.errors.contains("pumice snapshot explain"))
  }

  @Test func listShowsATableJSONOrIds() async throws {
    let script = [
      "GET \(Fixture.snapshots)": [
        Fixture.snapshotList(
          Fixture.snapshot("available"),
          Fixture.snapshot("creating", name: "", id: Fixture.otherSnapshotID, of: Fixture.otherID))
      ]
    ]
    let (table, _) = try await run("snapshot", "list", against: script)
    #expect(
      table.output == """
        ID                                    NAME     VOLUME                                STATUS     GIB  CREATED
        \(Fixture.snapshotID)  nightly  \(Fixture.volumeID)  available   10  2026-01-01T00:00:00.000000
        \(Fixture.otherSnapshotID)  -        \(Fixture.otherID)  creating    10  2026-01-01T00:00:00.000000
        """)
    let (ids, _) = try await run("snapshot", "list", "-q", against: script)
    #expect(ids.output == Fixture.snapshotID + "\n" + Fixture.otherSnapshotID)
    let (json, _) = try await run("snapshot", "list", "--json", against: script)
    #expect(JSONValue(parsing: json.output)?.array.map { $0["status"].text } == ["available", "creating"])
  }

  @Test func listNarrowsToOneVolumeAndStatus() async throws {
    let (listed, _) = try await run(
      "snapshot", "list", "--volume", "db", "--status", "error",
      against: [
        "GET \(Fixture.detail)?name=db": [Fixture.many(Fixture.volume("available"))],
        "GET \(Fixture.snapshots)?volume_id=\(Fixture.volumeID)&status=error": [Fixture.snapshotList()],
      ])
    #expect(listed.status == .ok)
  }

  @Test func anEmptyListSaysWhereElseThereMayBeSome() async throws {
    let (run, _) = try await run(
      "snapshot", "list", "--volume", Fixture.volumeID,
      against: [
        Fixture.show: Self.showVolume,
        "GET \(Fixture.snapshots)?volume_id=\(Fixture.volumeID)": [Fixture.snapshotList()],
      ])
    #expect(run.errors.hasPrefix("No snapshots of volume \(Fixture.volumeID) in project p"))
    #expect(run.errors.contains("--all-projects"))
  }

  @Test func aSnapshotIsShownByNameOrId() async throws {
    let (byID, calls) = try await run(
      "snapshot", "show", Fixture.snapshotID,
      against: [Fixture.showSnapshot: [Fixture.one(snapshot: Fixture.snapshot("available"))]])
    #expect(byID.output.contains("size         10 GiB"))
    #expect(calls.map(\.line) == [Fixture.showSnapshot])
    let (byName, _) = try await run(
      "snapshot", "show", "nightly", "-q",
      against: ["GET \(Fixture.snapshots)?name=nightly": [Fixture.snapshotList(Fixture.snapshot("available"))]])
    #expect(byName.output == Fixture.snapshotID)
    let (unknown, _) = try await run(
      "snapshot", "show", "x", against: ["GET \(Fixture.snapshots)?name=x": [Fixture.snapshotList()]])
    #expect(unknown.status == .notFound)
    #expect(unknown.errors.contains("pumice snapshot list"))
  }

  @Test func deleteWaitsUntilTheSnapshotIsUnknown() async throws {
    let (run, _) = try await run(
      "snapshot", "delete", Fixture.snapshotID, "--wait",
      against: [
        Fixture.showSnapshot: [
          Fixture.one(snapshot: Fixture.snapshot("available")), Fixture.one(snapshot: Fixture.snapshot("deleting")),
          Fixture.missing,
        ],
        Self.delete: [.init(status: 202, body: "")],
      ])
    #expect(run.status == .ok)
    #expect(run.output == "Snapshot nightly is gone.")
  }

  @Test func ofSeveralEachIsTried() async throws {
    let other = "/v3/p/snapshots/\(Fixture.otherSnapshotID)"
    let (run, _) = try await run(
      "snapshot", "delete", Fixture.snapshotID, Fixture.otherSnapshotID, "--json",
      against: [
        Fixture.showSnapshot: [Fixture.one(snapshot: Fixture.snapshot("available"))],
        Self.delete: [.error(409, "conflictingRequest", "A volume is being made from it.")],
        "GET \(other)": [Fixture.one(snapshot: Fixture.snapshot("error", id: Fixture.otherSnapshotID))],
        "DELETE \(other)": [.init(status: 202, body: "")],
      ])
    #expect(run.status == .conflict)
    #expect(run.errors == "pumice: A volume is being made from it.")
    #expect(JSONValue(parsing: run.output) == [.string(Fixture.otherSnapshotID)])
  }

  @Test func explainTellsWhereItIsAndWhatHoldsItUp() async throws {
    let explanation: JSONValue = [
      "snapshot": ["volume": .string(Fixture.volumeID), "failure": nil], "placement": ["pool": "n1@dir#pool"],
      "pending_work": "take on n1@dir#pool", "attempts": 2, "last_error": "Node n1 does not answer.",
    ]
    let (told, _) = try await run(
      "snapshot", "explain", Fixture.snapshotID,
      against: [
        Fixture.showSnapshot: [Fixture.one(snapshot: Fixture.snapshot("creating"))],
        Self.explain: [.json(explanation)],
      ])
    #expect(
      told.output == """
        snapshot      nightly (\(Fixture.snapshotID))
        status        creating
        size          10 GiB
        of volume     \(Fixture.volumeID)
        pool          n1@dir#pool
        pending work  take on n1@dir#pool, failed 2 times
        last error    Node n1 does not answer.
        """)
  }
}
