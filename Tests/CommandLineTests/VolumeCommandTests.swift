import Testing

@testable import pumice

struct VolumeCommandTests {
  @Test func createSendsWhatTheAPIExpectsAndShowsTheVolume() async throws {
    let coordinator = ScriptedCoordinator([
      "POST /v3/p/volumes": [Fixture.one(Fixture.volume("creating"), status: 202)]
    ])
    let run = try await coordinator.serve { url in
      await CommandRun.pumice(
        [
          "volume", "create", "db", "--size", "10", "--type", "ssd", "--availability-zone", "a", "--metadata", "k=v",
          "--token", "secret",
        ], url: url)
    }
    #expect(run.status == .ok)
    #expect(run.output.contains("status             creating"))
    #expect(run.output.contains("size               10 GiB"))
    let call = try #require(coordinator.calls.first)
    #expect(coordinator.calls.count == 1)
    #expect(call.token == "secret")
    #expect(
      call.body == [
        "volume": [
          "name": "db", "size": 10, "volume_type": "ssd", "availability_zone": "a", "metadata": ["k": "v"],
        ]
      ])
  }

  @Test func createWaitsUntilItIsAvailable() async throws {
    let (run, _) = try await run(
      "volume", "create", "db", "--size", "10", "--wait", "--quiet",
      against: [
        "POST /v3/p/volumes": [Fixture.one(Fixture.volume("creating"), status: 202)],
        Fixture.show: [Fixture.one(Fixture.volume("creating")), Fixture.one(Fixture.volume("available"))],
      ])
    #expect(run.status == .ok)
    #expect(run.output == Fixture.volumeID)
    #expect(run.progress.first?.hasPrefix("Volume db: creating (") == true)
  }

  @Test func createThatFailsSaysWhy() async throws {
    let (run, _) = try await run(
      "volume", "create", "db", "--size", "10", "--wait",
      against: [
        "POST /v3/p/volumes": [Fixture.one(Fixture.volume("creating"), status: 202)],
        Fixture.show: [Fixture.one(Fixture.volume("error"))],
        Fixture.explain: [Fixture.explained("No pool for 10 GiB.")],
      ])
    #expect(run.status == .failed)
    #expect(run.errors == "pumice: Volume db (\(Fixture.volumeID)) could not be created: No pool for 10 GiB.")
    #expect(run.output.isEmpty)
  }

  @Test func createThatFindsNoPoolFailsWithoutWaiting() async throws {
    let (run, _) = try await run(
      "volume", "create", "db", "--size", "10",
      against: [
        "POST /v3/p/volumes": [Fixture.one(Fixture.volume("error"), status: 202)],
        Fixture.show: [Fixture.one(Fixture.volume("error"))],
        Fixture.explain: [Fixture.explained("No pool for 10 GiB.")],
      ])
    #expect(run.status == .failed)
    #expect(run.errors.hasSuffix("No pool for 10 GiB."))
  }

  @Test func waitingEndsAfterItsTimeWithTheLastState() async throws {
    let (run, _) = try await run(
      "volume", "create", "db", "--size", "10", "--wait", "--timeout", "1",
      against: [
        "POST /v3/p/volumes": [Fixture.one(Fixture.volume("creating"), status: 202)],
        Fixture.show: [Fixture.one(Fixture.volume("creating"))],
      ])
    #expect(run.status == .timeout)
    #expect(run.errors.contains("not done after 1 seconds: creating."))
  }

  @Test func waitingOutlastsACoordinatorThatIsAway() async throws {
    let (run, _) = try await run(
      "volume", "create", "db", "--size", "10", "--wait", "--quiet",
      against: [
        "POST /v3/p/volumes": [Fixture.one(Fixture.volume("creating"), status: 202)],
        Fixture.show: [
          .error(503, "serviceUnavailable", "Restarting."), Fixture.one(Fixture.volume("available")),
        ],
      ])
    #expect(run.status == .ok)
  }

  @Test func listShowsATableJSONOrIds() async throws {
    let script = [
      "GET \(Fixture.detail)": [
        Fixture.many(
          Fixture.volume("in-use", attachedTo: Fixture.serverID),
          Fixture.volume("available", name: "", id: Fixture.otherID, size: 2000))
      ]
    ]
    let (table, _) = try await run("volume", "list", against: script)
    #expect(
      table.output == """
        ID                                    NAME  STATUS      GIB  TYPE         ZONE  ATTACHED TO
        11111111-1111-4111-8111-111111111111  db    in-use       10  __DEFAULT__  nova  \(Fixture.serverID)
        22222222-2222-4222-8222-222222222222  -     available  2000  __DEFAULT__  nova  -
        """)
    let (ids, _) = try await run("volume", "list", "-q", against: script)
    #expect(ids.output == Fixture.volumeID + "\n" + Fixture.otherID)
    let (json, _) = try await run("volume", "list", "--json", against: script)
    let volumes = try #require(JSONValue(parsing: json.output)).array
    #expect(volumes.map { $0["status"].text } == ["in-use", "available"])
  }

  @Test func anEmptyListIsEmptyOutput() async throws {
    let script = ["GET \(Fixture.detail)": [Fixture.many()]]
    let (table, _) = try await run("volume", "list", against: script)
    #expect(table.status == .ok && table.output.isEmpty && table.errors.hasPrefix("No volumes in project p"))
    #expect(table.errors.contains("--all-projects"))
    let (everywhere, _) = try await run(
      "volume", "list", "--all-projects", against: ["GET \(Fixture.detail)?all_tenants=1": [Fixture.many()]])
    #expect(everywhere.errors == "No volumes in any project.")
    let (filtered, _) = try await run(
      "volume", "list", "--status", "error", against: ["GET \(Fixture.detail)?status=error": [Fixture.many()]])
    #expect(filtered.errors.hasPrefix("No such volumes in project p"))
    let (json, _) = try await run("volume", "list", "--json", against: script)
    #expect(JSONValue(parsing: json.output) == [])
  }

  @Test func listReadsAllPagesAndPassesFilters() async throws {
    let next: JSONValue = [["rel": "next", "href": "http://elsewhere/"]]
    let (listed, calls) = try await run(
      "volume", "list", "--status", "error", "--all-projects", "-q",
      against: [
        "GET \(Fixture.detail)?status=error&all_tenants=1": [
          .json(["volumes": [Fixture.volume("error")], "volumes_links": next] as [String: JSONValue])
        ],
        "GET \(Fixture.detail)?status=error&all_tenants=1&marker=\(Fixture.volumeID)": [
          .json(["volumes": [Fixture.volume("error", id: Fixture.otherID)]] as [String: JSONValue])
        ],
      ])
    #expect(listed.output == Fixture.volumeID + "\n" + Fixture.otherID)
    #expect(calls.count == 2)
  }

  @Test func extendWaitsForTheSizeAndAsksForTheVersionThatExtendsInUse() async throws {
    let (run, calls) = try await run(
      "volume", "extend", Fixture.volumeID, "--size", "20", "--wait",
      against: [
        Fixture.show: [
          Fixture.one(Fixture.volume("in-use")), Fixture.one(Fixture.volume("in-use")),
          Fixture.one(Fixture.volume("extending")), Fixture.one(Fixture.volume("in-use", size: 20)),
        ],
        "POST /v3/p/volumes/\(Fixture.volumeID)/action": [.init(status: 202, body: "")],
      ])
    #expect(run.status == .ok)
    #expect(run.output.contains("20 GiB"))
    let action = try #require(calls.first { $0.line.hasSuffix("/action") })
    #expect(action.body == ["os-extend": ["new_size": 20]])
    #expect(action.version == "volume 3.42")
  }

  @Test func anExtendThatFailsSaysWhy() async throws {
    let (run, _) = try await run(
      "volume", "extend", Fixture.volumeID, "--size", "20", "--wait",
      against: [
        Fixture.show: [Fixture.one(Fixture.volume("available")), Fixture.one(Fixture.volume("error_extending"))],
        "POST /v3/p/volumes/\(Fixture.volumeID)/action": [.init(status: 202, body: "")],
        Fixture.explain: [Fixture.explained("vg is full.")],
      ])
    #expect(run.status == .failed)
    #expect(run.errors == "pumice: Volume db could not be extended: vg is full.")
  }

  @Test func deleteWaitsUntilTheVolumeIsUnknown() async throws {
    let (run, _) = try await run(
      "volume", "delete", Fixture.volumeID, "--wait",
      against: [
        Fixture.show: [
          Fixture.one(Fixture.volume("available")), Fixture.one(Fixture.volume("deleting")), Fixture.missing,
        ],
        "DELETE /v3/p/volumes/\(Fixture.volumeID)": [.init(status: 202, body: "")],
      ])
    #expect(run.status == .ok)
    #expect(run.output == "Volume db is gone.")
  }

  @Test func deleteTakesTheSnapshotsAlongOnlyWhenTold() async throws {
    let (run, calls) = try await run(
      "volume", "delete", Fixture.volumeID, "--cascade", "--quiet",
      against: [
        Fixture.show: [Fixture.one(Fixture.volume("available"))],
        "DELETE /v3/p/volumes/\(Fixture.volumeID)?cascade=true": [.init(status: 202, body: "")],
      ])
    #expect(run.status == .ok && run.output == Fixture.volumeID)
    #expect(calls.count == 2)
  }

  @Test func ofSeveralEachIsTriedAndTheFirstFailureDecides() async throws {
    let (run, calls) = try await run(
      "volume", "delete", Fixture.volumeID, "ghost", Fixture.otherID,
      against: [
        Fixture.show: [Fixture.one(Fixture.volume("in-use"))],
        "DELETE /v3/p/volumes/\(Fixture.volumeID)": [.error(409, "conflictingRequest", "Volume db is attached.")],
        "GET \(Fixture.detail)?name=ghost": [Fixture.many()],
        "GET /v3/p/volumes/\(Fixture.otherID)": [Fixture.one(Fixture.volume("available", id: Fixture.otherID))],
        "DELETE /v3/p/volumes/\(Fixture.otherID)": [.init(status: 202, body: "")],
      ])
    #expect(run.status == .conflict)
    #expect(run.errors.contains("Volume db is attached.") && run.errors.contains("\"ghost\""))
    #expect(calls.contains { $0.line == "DELETE /v3/p/volumes/\(Fixture.otherID)" })
    #expect(run.output == "Volume db is being deleted.")
  }
}
