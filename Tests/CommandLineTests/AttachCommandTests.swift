import Testing

@testable import pumice

struct AttachCommandTests {
  private let base: [String: [ScriptedCoordinator.Answer]] = [
    "GET /compute/v2.1/servers/detail": [Fixture.servers],
    "POST \(Fixture.attachments)": [
      .json(["volumeAttachment": ["volumeId": .string(Fixture.volumeID)]] as [String: JSONValue])
    ],
    "DELETE \(Fixture.attachments)/\(Fixture.volumeID)": [.init(status: 202, body: "")],
  ]

  private func run(
    _ arguments: [String], volumes: [JSONValue], explained: String? = nil
  ) async throws -> (CommandRun, [ScriptedCoordinator.Call]) {
    var script = base
    script[Fixture.show] = volumes.map { Fixture.one($0) }
    if let explained { script[Fixture.explain] = [Fixture.explained(explained)] }
    let coordinator = ScriptedCoordinator(script)
    let run = try await coordinator.serve { url in await CommandRun.pumice(arguments, url: url) }
    return (run, coordinator.calls)
  }

  @Test func attachWaitsUntilTheInstanceHasTheDisk() async throws {
    let (run, calls) = try await run(
      ["attach", Fixture.volumeID, "web1", "--device", "vdb", "--wait"],
      volumes: [
        Fixture.volume("available"), Fixture.volume("attaching"),
        Fixture.volume("in-use", attachedTo: Fixture.serverID),
      ])
    #expect(run.status == .ok)
    #expect(run.output.contains("\(Fixture.serverID) as /dev/vdb on compute1"))
    let post = try #require(calls.first { $0.line.hasPrefix("POST") })
    #expect(post.body == ["volumeAttachment": ["volumeId": .string(Fixture.volumeID), "device": "/dev/vdb"]])
  }

  @Test func anAttachThatIsTakenBackFailsWithItsReason() async throws {
    let (run, _) = try await run(
      ["attach", Fixture.volumeID, Fixture.serverID, "--wait"],
      volumes: [Fixture.volume("available"), Fixture.volume("attaching"), Fixture.volume("available")],
      explained: "The serial differs.")
    #expect(run.status == .failed)
    #expect(run.errors == "pumice: Volume db could not be attached to web1: The serial differs.")
  }

  @Test func theReasonIsNotThatOfASnapshot() async throws {
    let coordinator = ScriptedCoordinator(
      base.merging([
        Fixture.show: [Fixture.one(Fixture.volume("available"))],
        Fixture.explain: [
          .json(
            [
              "messages": [
                ["text": "The serial differs.", "snapshot_id": nil],
                ["text": "The pool is full.", "snapshot_id": .string(Fixture.snapshotID)],
              ]
            ] as [String: JSONValue])
        ],
      ]) { $1 })
    let run = try await coordinator.serve { url in
      await CommandRun.pumice(["attach", Fixture.volumeID, "web1", "--wait"], url: url)
    }
    #expect(run.errors.hasSuffix("could not be attached to web1: The serial differs."))
  }

  @Test func detachFindsTheInstanceByItself() async throws {
    let (run, calls) = try await run(
      ["detach", Fixture.volumeID, "--wait"],
      volumes: [
        Fixture.volume("in-use", attachedTo: Fixture.serverID),
        Fixture.volume("detaching", attachedTo: Fixture.serverID), Fixture.volume("available"),
      ])
    #expect(run.status == .ok)
    #expect(run.output.contains("available"))
    #expect(calls.contains { $0.line == "DELETE \(Fixture.attachments)/\(Fixture.volumeID)" })
  }

  @Test func whatIsNotAttachedCannotBeDetached() async throws {
    let (run, calls) = try await run(["detach", Fixture.volumeID], volumes: [Fixture.volume("available")])
    #expect(run.status == .conflict)
    #expect(run.errors == "pumice: Volume db is available and attached to no instance.")
    #expect(calls.count == 1)
  }

  @Test func instancesAreListedWithTheirVolumes() async throws {
    let (listed, _) = try await run(["instance", "list"], volumes: [])
    #expect(
      listed.output == """
        ID                                    NAME  STATUS  NODE      VOLUMES
        \(Fixture.serverID)  web1  ACTIVE  compute1  \(Fixture.volumeID)
        """)
    let (elsewhere, _) = try await run(["instance", "list", "--node", "other", "--json"], volumes: [])
    #expect(JSONValue(parsing: elsewhere.output) == [])
  }
}
