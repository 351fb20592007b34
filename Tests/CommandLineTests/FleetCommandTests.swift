import Testing

@testable import pumice

struct FleetCommandTests {
  private static let node: JSONValue = [
    "name": "n1", "address": "http://10.0.0.7:9776", "availability_zone": "nova", "enabled": true,
    "disabled_reason": nil, "state": "up", "lost": false, "last_report": "2026-01-01T00:00:00Z", "version": "0.1.0",
    "hypervisor": "qemu", "connectors": [["kind": "iscsi-qemu"]], "pools": [["backend": "dir", "pool": "pool"]],
    "instances_count": 3,
  ]

  @Test func nodesAreListed() async throws {
    let (listed, _) = try await run(
      "node", "list", against: ["GET /pumice/v1/nodes": [.json(["nodes": [Self.node]] as [String: JSONValue])]])
    #expect(
      listed.output == """
        NAME  STATE  ENABLED  ZONE  POOLS  INSTANCES  LAST REPORT           ADDRESS
        n1    up     yes      nova      1          3  2026-01-01T00:00:00Z  http://10.0.0.7:9776
        """)
  }

  @Test func theListSaysWhyANodeIsDisabled() async throws {
    var members = Self.node.object
    members["enabled"] = false
    members["disabled_reason"] = "new disks"
    let disabled = JSONValue.object(members)
    let (listed, _) = try await run(
      "node", "list", against: ["GET /pumice/v1/nodes": [.json(["nodes": [disabled]] as [String: JSONValue])]])
    #expect(listed.output.contains("ENABLED        ZONE"))
    #expect(listed.output.contains("no: new disks  nova"))
  }

  @Test func aNewNodeIsWaitedForUntilItHasReported() async throws {
    var members = Self.node.object
    members["state"] = "down"
    let path = "GET /pumice/v1/nodes/n1"
    let (shown, _) = try await run(
      "node", "show", "n1", "--wait", "--quiet",
      against: [path: [Fixture.missing, .json(JSONValue.object(members)), .json(Self.node)]])
    #expect(shown.status == .ok && shown.output == "n1")
    #expect(shown.progress.first?.hasPrefix("Node n1: it has not reported yet") == true)
    #expect(shown.progress.last?.hasPrefix("Node n1: down") == true)
    let (missing, _) = try await run("node", "show", "n1", against: [path: [Fixture.missing]])
    #expect(missing.status == .notFound)
    let (late, _) = try await run("node", "show", "n1", "--wait", "--timeout", "1", against: [:])
    #expect(late.status == .timeout)
    #expect(late.errors.contains("it has not reported yet. The log of its agent"))
  }

  @Test func aNodeIsDisabledWithItsReasonAndEnabled() async throws {
    let script: [String: [ScriptedCoordinator.Answer]] = [
      "PUT /pumice/v1/nodes/n1": [.json(["node": Self.node] as [String: JSONValue])],
      "GET /pumice/v1/nodes/n1": [.json(Self.node)],
    ]
    let (disabled, calls) = try await run("node", "disable", "n1", "--reason", "new disks", against: script)
    #expect(disabled.status == .ok)
    #expect(calls.first?.body == ["enabled": false, "disabled_reason": "new disks"])
    let (enabled, more) = try await run("node", "enable", "n1", "-q", against: script)
    #expect(enabled.output == "n1")
    #expect(more.first?.body == ["enabled": true])
  }

  @Test func declaringANodeLostChangesNothingElse() async throws {
    let (lost, calls) = try await run(
      "node", "lost", "n1", "--yes",
      against: ["PUT /pumice/v1/nodes/n1": [.init(body: "")], "GET /pumice/v1/nodes/n1": [.json(Self.node)]])
    #expect(lost.status == .ok)
    let put = try #require(calls.first { $0.line.hasPrefix("PUT") })
    #expect(put.body == ["lost": true])
  }

  @Test func poolsShowTheirCapacity() async throws {
    let pool: JSONValue = [
      "name": "n1@dir#pool",
      "capabilities": [
        "total_capacity_gb": 100, "free_capacity_gb": .number(40.125), "provisioned_capacity_gb": 250,
        "reserved_percentage": 5, "thin_provisioning_support": true, "max_over_subscription_ratio": 20,
        "backend_state": "up", "storage_protocol": "iSCSI",
      ],
    ]
    let (listed, _) = try await run(
      "pool", "list",
      against: [
        "GET /v3/p/scheduler-stats/get_pools?detail=true": [.json(["pools": [pool]] as [String: JSONValue])]
      ])
    #expect(
      listed.output == """
        POOL         STATE  TOTAL   FREE  PROMISED  RESERVED  KIND  RATIO  PROTOCOL
        n1@dir#pool  up       100  40.13       250       5 %  thin     20  iSCSI
        """)
  }

  @Test func typesAreCreatedWithTheirSpecs() async throws {
    let type: JSONValue = ["id": "t1", "name": "ssd", "is_public": true, "extra_specs": ["ssd": "<is> true"]]
    let (created, calls) = try await run(
      "type", "create", "ssd", "--spec", "ssd=<is> true",
      against: ["POST /v3/p/types": [.json(["volume_type": type] as [String: JSONValue])]])
    #expect(created.output.contains("extra specs  ssd=<is> true"))
    #expect(
      calls.first?.body == [
        "volume_type": [
          "name": "ssd", "os-volume-type-access:is_public": true, "extra_specs": ["ssd": "<is> true"],
        ]
      ])
  }

  @Test func aTypeIsDeletedByName() async throws {
    let (deleted, calls) = try await run(
      "type", "delete", "ssd",
      against: [
        "GET /v3/p/types": [.json(["volume_types": [["id": "t1", "name": "ssd"]]] as [String: JSONValue])],
        "DELETE /v3/p/types/t1": [.init(status: 202, body: "")],
      ])
    #expect(deleted.output == "Volume type ssd is deleted.")
    #expect(calls.last?.line == "DELETE /v3/p/types/t1")
  }

  @Test func quotasShowUsageAndChange() async throws {
    let quota: JSONValue = [
      "id": "team", "volumes": ["in_use": 2, "reserved": 0, "limit": 10],
      "gigabytes": ["in_use": 30, "reserved": 0, "limit": -1],
    ]
    let script: [String: [ScriptedCoordinator.Answer]] = [
      "GET /v3/p/os-quota-sets/team?usage=True": [.json(["quota_set": quota] as [String: JSONValue])],
      "PUT /v3/p/os-quota-sets/team": [.json(["quota_set": quota] as [String: JSONValue])],
    ]
    let (shown, _) = try await run("quota", "show", "team", against: script)
    #expect(
      shown.output == """
        RESOURCE   IN USE      LIMIT
        gigabytes      30  unlimited
        volumes         2         10
        """)
    let (changed, calls) = try await run(
      "quota", "set", "team", "--volumes", "5", "--snapshots", "7", "--gigabytes", "-1", "--limit", "volumes_ssd=3",
      against: script)
    #expect(changed.status == .ok)
    #expect(calls.first?.body == ["quota_set": ["volumes": 5, "snapshots": 7, "gigabytes": -1, "volumes_ssd": 3]])
  }

  @Test func doctorEndsWithOneWhenItFoundSomething() async throws {
    let finding: JSONValue = [
      "kind": "orphan volume", "node": "n1", "resource": "x", "detail": "no row", "remedy": "delete it",
    ]
    let (ill, _) = try await run(
      "doctor", against: ["GET /pumice/v1/doctor": [.json(["findings": [finding]] as [String: JSONValue])]])
    #expect(ill.status == .failed)
    #expect(ill.output.contains("orphan volume  n1    x         no row  delete it"))
    #expect(ill.errors.isEmpty)
    let (well, _) = try await run(
      "doctor", against: ["GET /pumice/v1/doctor": [.json(["findings": []] as [String: JSONValue])]])
    #expect(well.status == .ok && well.output == "All nodes agree with the records.")
  }

  @Test func explainTellsPlacementWorkAndErrors() async throws {
    let explanation: JSONValue = [
      "volume": ["failure": nil], "placement": ["pool": "n1@dir#pool", "tried": ["n2@dir#pool"]],
      "pending_work": "provision", "attempts": 3, "next_try": "2026-01-01T00:00:08Z", "progress": .number(0.4),
      "last_error": "Node n1 does not answer.",
      "attachments": [
        ["id": "a1", "instance": "i1", "node": "c1", "state": "attached", "device": "vdb", "pending_work": nil]
      ],
      "messages": [["created_at": "2026-01-01T00:00:00Z", "text": "It failed once."]],
    ]
    let (told, _) = try await run(
      "explain", Fixture.volumeID,
      against: [
        Fixture.show: [Fixture.one(Fixture.volume("creating"))], Fixture.explain: [.json(explanation)],
      ])
    #expect(
      told.output == """
        volume        db (\(Fixture.volumeID))
        status        creating
        size          10 GiB
        pool          n1@dir#pool
        tried before  n2@dir#pool
        pending work  provision, failed 3 times, next try 2026-01-01T00:00:08Z, 40 %
        last error    Node n1 does not answer.

        ATTACHMENT  INSTANCE  NODE  STATE     DEVICE  PENDING WORK  LAST ERROR
        a1          i1        c1    attached  vdb     none          -

        2026-01-01T00:00:00Z  It failed once.
        """)
  }

  @Test func explainTellsTheReasonOfAFailureOnce() async throws {
    let explanation: JSONValue = [
      "volume": ["failure": "No pool for 10 GiB."], "last_error": "No pool for 10 GiB.",
      "messages": [
        ["created_at": "2026-01-01T00:00:00Z", "text": "It failed before."],
        ["created_at": "2026-01-02T00:00:00Z", "text": "No pool for 10 GiB."],
      ],
    ]
    let (told, _) = try await run(
      "explain", Fixture.volumeID,
      against: [Fixture.show: [Fixture.one(Fixture.volume("error"))], Fixture.explain: [.json(explanation)]])
    #expect(
      told.output == """
        volume        db (\(Fixture.volumeID))
        status        error
        size          10 GiB
        pool          -
        pending work  none
        last error    -
        failure       No pool for 10 GiB.
        failed at     2026-01-02T00:00:00Z

        2026-01-01T00:00:00Z  It failed before.
        """)
  }
}
