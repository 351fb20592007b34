import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// What Nova's clients ask beside volumes.
@Suite struct ServerTests {
  @Test func theVersionDocumentSaysWhatIsServed() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let version = try await coordinator.get("/compute/v2.1/")["version"]
      #expect(version["min_version"] == .string("2.1") && version["version"] == .string("2.89"))
      #expect(try await coordinator.compute(.get, "servers", version: "2.90").status == 406)
      let latest = try await coordinator.compute(.get, "servers", version: "latest")
      #expect(latest.headers[.novaAPIVersion] == "2.89")
      let legacy = try await coordinator.send(
        .get, "/compute/v2.1/servers", headers: ["X-OpenStack-Nova-API-Version": "2.53"])
      #expect(legacy.headers[.novaAPIVersion] == "2.53")
    }
  }

  @Test(
    arguments: [
      ("2.1", []), ("2.9", ["locked"]), ("2.19", ["locked", "description"]),
      ("2.26", ["locked", "description", "tags"]),
      ("2.63", ["locked", "description", "tags", "trusted_image_certificates"]),
      ("2.71", ["locked", "description", "tags", "trusted_image_certificates", "server_groups"]),
      ("2.89", ["locked", "description", "tags", "trusted_image_certificates", "server_groups", "locked_reason"]),
    ] as [(String, Set<String>)])
  func aServerHasTheMembersOfItsVersion(version: String, members: Set<String>) async throws {
    let optional: Set<String> = [
      "locked", "description", "tags", "trusted_image_certificates", "server_groups", "locked_reason",
    ]
    try await ComputeFixture.with { (coordinator) async throws in
      let shown = try await coordinator.compute(.get, "servers/\(ComputeFixture.vm.id)", version: version)["server"]
      #expect(Set(shown.object.keys).intersection(optional) == members)
      let listed = try await coordinator.compute(.get, "servers/detail", version: version)["servers"][0]
      #expect(Set(listed.object.keys).intersection(optional) == members.subtracting(["server_groups"]))
      for name in ["id", "hostId", "OS-EXT-STS:power_state", "OS-SRV-USG:launched_at", "accessIPv4"] {
        #expect(shown.object[name] != nil && listed.object[name] != nil, "\(name)")
      }
    }
  }

  @Test func aFlavorIsALinkUntil247AndItsFactsSince() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let path = "servers/\(ComputeFixture.vm.id)"
      let old = try await coordinator.compute(.get, path, version: "2.46")["server"]["flavor"]
      #expect(old.object.keys.sorted() == ["id", "links"] && old["id"] == .string("2x512MiB"))
      let new = try await coordinator.compute(.get, path, version: "2.47")["server"]["flavor"]
      #expect(new["vcpus"] == .integer(2) && new["ram"] == .integer(512) && new["disk"] == .integer(0))
      #expect(new["original_name"] == .string("2x512MiB") && new.object["id"] == nil)

      let flavors = try await coordinator.compute(.get, "flavors/detail")["flavors"].array
      #expect(flavors.map { $0["id"].string } == ["1x0MiB", "2x512MiB"])
      #expect(flavors[1]["swap"] == .integer(0) && flavors[1]["ram"] == .integer(512))
      let one = try await coordinator.compute(.get, "flavors/2x512MiB", version: "2.54")["flavor"]
      #expect(one["swap"] == .string("") && one.object["description"] == nil && one["name"] == .string("2x512MiB"))
      #expect(try await coordinator.compute(.get, "flavors?limit=1")["flavors_links"].array.count == 1)
      #expect(try await coordinator.compute(.get, "flavors/m1.tiny").status == 404)
    }
  }

  @Test(arguments: [
    ("name=vm-1", 1), ("name=%5Evm-2%24", 1), ("name=vm", 2), ("status=active", 1), ("status=BUILD", 0),
    ("host=c1", 2), ("host=n1", 0), ("availability_zone=nova", 2), ("vm_state=stopped", 1), ("power_state=4", 1),
    ("flavor=2x512MiB", 1), ("deleted=True", 0), ("deleted=False", 2), ("locked=true", 0), ("image=x", 0),
    ("tags=a", 0), ("ip=10", 0), ("all_tenants=True", 2), ("sort_key=created_at&sort_dir=desc", 2),
    ("uuid=\(ComputeFixture.vm.id)", 1), ("status=ACTIVE&status=SHUTOFF", 2), ("status=SHUTOFF&status=BUILD", 1),
    ("status=ACTIVE&status=SHUTOFF&name=vm-2", 1),
  ])
  func listsAreNarrowedByWhatTheyAreAskedFor(query: String, count: Int) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let answer = try await coordinator.compute(.get, "servers?\(query)")
      #expect(answer["servers"].array.count == count, "\(answer.text)")
    }
  }

  @Test func whatIsNoFilterIsPassedOverAndSince275Refused() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      #expect(try await coordinator.compute(.get, "servers?colour=red", version: "2.74")["servers"].array.count == 2)
      #expect(try await coordinator.compute(.get, "servers?colour=red", version: "2.75").status == 400)
      #expect(try await coordinator.compute(.get, "servers?status=GONE", version: "2.37")["servers"].array.isEmpty)
      #expect(try await coordinator.compute(.get, "servers?status=GONE", version: "2.38").status == 400)
    }
  }

  @Test(arguments: [
    ("", ["vm-1", "vm-2"]), ("sort_key=display_name", ["vm-2", "vm-1"]), ("sort_dir=desc", ["vm-1", "vm-2"]),
    ("sort_key=display_name&sort_dir=asc", ["vm-1", "vm-2"]), ("sort_key=vm_state&sort_dir=desc", ["vm-2", "vm-1"]),
    ("sort_key=host&sort_dir=asc&sort_key=power_state&sort_dir=desc", ["vm-2", "vm-1"]),
    ("sort_key=host&sort_key=power_state&sort_dir=desc", ["vm-2", "vm-1"]),
    ("sort_key=locked&sort_dir=desc", ["vm-1", "vm-2"]),
    ("sort_key=display_name&limit=1", ["vm-2"]),
    ("sort_key=display_name&marker=\(ComputeFixture.other.id)", ["vm-1"]),
  ])
  func listsAreInTheOrderThatIsAskedFor(query: String, names: [String]) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let answer = try await coordinator.compute(.get, "servers?\(query)")
      #expect(answer["servers"].array.compactMap { $0["name"].string } == names, "\(answer.text)")
    }
  }

  @Test(arguments: [
    "servers?sort_key=colour", "servers?sort_key=uuid&sort_dir=up", "servers?sort_key=uuid&sort_dir=asc&sort_dir=asc",
    "flavors?sort_key=colour",
  ])
  func anOrderThatIsNoneIsRefused(path: String) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let answer = try await coordinator.compute(.get, path)
      #expect(answer.status == 400 && answer.message.contains("sort_"), "\(answer.text)")
    }
  }

  @Test func flavorsAreInTheOrderThatIsAskedFor() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      for (query, first) in [
        ("", "1x0MiB"), ("?sort_key=memory_mb&sort_dir=desc", "2x512MiB"), ("?sort_key=vcpus", "1x0MiB"),
      ] {
        let flavors = try await coordinator.compute(.get, "flavors\(query)")["flavors"]
        #expect(flavors[0]["id"] == .string(first), "\(query)")
      }
    }
  }

  @Test(arguments: ["servers", "servers/detail", "flavors", "flavors/detail"])
  func aMarkerThatIsNoneIsAWrongQuery(path: String) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let answer = try await coordinator.compute(.get, "\(path)?marker=nothing")
      #expect(answer.status == 400 && answer.message.contains("marker"), "\(answer.text)")
    }
  }

  @Test(arguments: [
    ("minRam=512", 1), ("minRam=513", 0), ("minRam=0&minDisk=0", 2), ("minDisk=1", 0), ("is_public=None", 2),
    ("is_public=True", 2), ("is_public=False", 0), ("sort_key=name&sort_dir=asc", 2),
  ])
  func listsOfFlavorsAreNarrowed(query: String, count: Int) async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      for path in ["flavors", "flavors/detail"] {
        #expect(try await coordinator.compute(.get, "\(path)?\(query)")["flavors"].array.count == count)
      }
    }
  }

  @Test func ofAFlavorThereIsNothingMore() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      #expect(try await coordinator.compute(.get, "flavors?minRam=x").status == 400)
      #expect(try await coordinator.compute(.get, "flavors?colour=red", version: "2.74").status == 200)
      #expect(try await coordinator.compute(.get, "flavors?colour=red", version: "2.75").status == 400)
      let specs = try await coordinator.compute(.get, "flavors/2x512MiB/os-extra_specs", version: "2.1")
      #expect(specs.status == 200 && specs["extra_specs"].object.isEmpty)
      for path in ["flavors/m1.tiny/os-extra_specs", "flavors/2x512MiB/os-extra_specs/hw:numa_nodes"] {
        #expect(try await coordinator.compute(.get, path).status == 404)
      }
    }
  }

  @Test func usersDoNotSeeWhereServersAre() async throws {
    try await withCoordinator(
      tokens: AuthorizationTests.tokens, nodes: [FakeNode("c1", instances: [ComputeFixture.vm])]
    ) { (coordinator) async throws in
      func server(_ who: String) async throws -> JSONValue {
        try await coordinator.get("/compute/v2.1/servers/\(ComputeFixture.vm.id)", token: "token-of-the-\(who)")[
          "server"]
      }
      let (admin, reader) = (try await server("admin"), try await server("reader"))
      #expect(admin["OS-EXT-SRV-ATTR:host"] == .string("c1"))
      #expect(!reader.object.values.contains(.string("c1")))
      #expect(reader.object.keys.allSatisfy { !$0.hasPrefix("OS-EXT-SRV-ATTR:") })
      #expect(try #require(reader["hostId"].string).utf8.count == 64)
    }
  }

  @Test func limitsSayWhatThereIs() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let limits = try await coordinator.compute(.get, "limits")["limits"]
      #expect(limits["rate"] == .array([]))
      let absolute = limits["absolute"]
      #expect(absolute["totalInstancesUsed"] == .integer(2) && absolute["maxTotalInstances"] == .integer(-1))
      #expect(absolute["totalCoresUsed"] == .integer(3) && absolute["totalRAMUsed"] == .integer(512))
      #expect(absolute.object["maxTotalFloatingIps"] == nil && absolute.object["maxPersonality"] == nil)
      let old = try await coordinator.compute(.get, "limits", version: "2.1")["limits"]["absolute"]
      #expect(old["maxTotalFloatingIps"] == .integer(0) && old["maxPersonality"] == .integer(0))
    }
  }

  @Test func zonesAreThoseOfTheNodes() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      let zones = try await coordinator.compute(.get, "os-availability-zone")["availabilityZoneInfo"]
      #expect(zones[0]["zoneName"] == .string("nova") && zones[0]["zoneState"]["available"] == .bool(true))
      #expect(zones[0]["hosts"] == .null)
      let detailed = try await coordinator.compute(.get, "os-availability-zone/detail")["availabilityZoneInfo"]
      #expect(detailed[0]["hosts"]["c1"]["nova-compute"]["available"] == .bool(true))
    }
  }

  @Test func eventsAreTakenNoteOf() async throws {
    try await ComputeFixture.with { (coordinator) async throws in
      func report(_ events: String, version: String = "2.89") async throws -> Answer {
        try await coordinator.compute(
          .post, "os-server-external-events", #"{"events": [\#(events)]}"#, version: version)
      }
      let known = #"{"name": "volume-extended", "server_uuid": "\#(ComputeFixture.vm.id)", "tag": "x"}"#
      let unknown = #"{"name": "network-changed", "server_uuid": "ffffffff-ffff-4fff-8fff-ffffffffffff"}"#
      let untagged = #"{"name": "volume-extended", "server_uuid": "\#(ComputeFixture.vm.id)"}"#
      let one = try await report(known)
      #expect(one.status == 200 && one["events"][0]["code"] == .integer(200))
      #expect(one["events"][0]["status"] == .string("completed"))
      let several = try await report("\(known), \(unknown), \(untagged)")
      #expect(several.status == 207 && several["events"].array.map { $0["code"].int } == [200, 404, 400])
      #expect(try await report(unknown).status == 404)
      #expect(try await report(known, version: "2.50").status == 400)
      for wrong in [
        "", "5", "{}", #"{"name": "volume-extended"}"#, #"{"name": "x", "server_uuid": "\#(ComputeFixture.vm.id)"}"#,
        #"{"name": "network-changed", "server_uuid": "x"}"#,
        #"{"name": "network-changed", "server_uuid": "\#(ComputeFixture.vm.id)", "status": "perhaps"}"#,
      ] {
        #expect(try await report(wrong).status == 400, "\(wrong)")
      }
    }
  }
}
