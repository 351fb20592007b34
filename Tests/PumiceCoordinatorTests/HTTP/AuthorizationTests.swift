import HTTPTypes
import HashTreeCollections
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct AuthorizationTests {
  static let tokens = [
    TokenFile.Entry(token: "token-of-the-reader", project: "demo", user: "rita", role: .reader),
    TokenFile.Entry(token: "token-of-the-member", project: "demo", user: "max", role: .member),
    TokenFile.Entry(token: "token-of-the-stranger", project: "other", user: "otto", role: .member),
    TokenFile.Entry(token: "token-of-the-admin", project: "admin", user: "ada", role: .admin),
  ]

  /// What each of reader, member, stranger and admin gets; `VOLUME` and `SNAPSHOT` are the member's; 0 is not asked.
  static let matrix:
    [(method: HTTPRequest.Method, path: String, body: String?, reader: Int, member: Int, stranger: Int, admin: Int)] = [
      (.get, "/v3/volumes/VOLUME", nil, 200, 200, 404, 200),
      (.get, "/v3/demo/volumes/VOLUME", nil, 200, 200, 400, 200),
      (.get, "/v3/volumes/VOLUME/metadata", nil, 200, 200, 404, 200),
      (.put, "/v3/volumes/VOLUME", #"{"volume": {"name": "n"}}"#, 403, 200, 404, 200),
      (.post, "/v3/volumes/VOLUME/metadata", #"{"metadata": {"a": "b"}}"#, 403, 200, 404, 200),
      (.post, "/v3/volumes", #"{"volume": {"size": 1}}"#, 403, 202, 202, 202),
      (.post, "/v3/volumes/VOLUME/action", #"{"os-extend": {"new_size": 1}}"#, 403, 400, 404, 400),
      (.post, "/v3/volumes/VOLUME/action", #"{"os-reset_status": {"status": "available"}}"#, 403, 403, 403, 202),
      (.post, "/v3/volumes/VOLUME/action", #"{"os-force_delete": {}}"#, 403, 403, 403, 0),
      (.get, "/v3/snapshots/SNAPSHOT", nil, 200, 200, 404, 200),
      (.get, "/v3/snapshots/SNAPSHOT/metadata", nil, 200, 200, 404, 200),
      (.put, "/v3/snapshots/SNAPSHOT", #"{"snapshot": {"name": "n"}}"#, 403, 200, 404, 200),
      (.post, "/v3/snapshots/SNAPSHOT/metadata", #"{"metadata": {"a": "b"}}"#, 403, 200, 404, 200),
      (.post, "/v3/snapshots", #"{"snapshot": {"volume_id": "VOLUME"}}"#, 403, 202, 404, 202),
      (.post, "/v3/snapshots/SNAPSHOT/action", #"{"os-reset_status": {"status": "available"}}"#, 403, 403, 403, 202),
      (.post, "/v3/snapshots/SNAPSHOT/action", #"{"os-force_delete": {}}"#, 403, 403, 403, 0),
      (.post, "/v3/volumes", #"{"volume": {"snapshot_id": "SNAPSHOT"}}"#, 403, 202, 404, 404),
      (.post, "/v3/volumes", #"{"volume": {"source_volid": "VOLUME"}}"#, 403, 202, 404, 404),
      (.post, "/v3/volumes/VOLUME/action", #"{"revert": {"snapshot_id": "VOLUME"}}"#, 403, 404, 404, 404),
      (.get, "/pumice/v1/snapshots/SNAPSHOT/explain", nil, 200, 200, 404, 200),
      (.get, "/v3/types", nil, 200, 200, 200, 200),
      (.post, "/v3/types", #"{"volume_type": {"name": "fast"}}"#, 403, 403, 403, 200),
      (.get, "/v3/os-quota-sets/demo", nil, 200, 200, 404, 200),
      (.put, "/v3/os-quota-sets/demo", #"{"quota_set": {"volumes": 20}}"#, 403, 403, 403, 200),
      (.get, "/v3/limits", nil, 200, 200, 200, 200),
      (.get, "/v3/os-services", nil, 403, 403, 403, 200),
      (.put, "/v3/os-services/enable", #"{"binary": "cinder-volume", "host": "n1@ssd"}"#, 403, 403, 403, 200),
      (.get, "/v3/scheduler-stats/get_pools", nil, 403, 403, 403, 200),
      (.get, "/v3/os-availability-zone", nil, 200, 200, 200, 200),
      (.get, "/compute/v2.1/servers", nil, 200, 200, 200, 200),
      (
        .post, "/compute/v2.1/servers/INSTANCE/os-volume_attachments",
        #"{"volumeAttachment": {"volumeId": "VOLUME", "device": "/nope"}}"#, 403, 400, 400, 400
      ),
      (.get, "/pumice/v1/nodes", nil, 403, 403, 403, 200),
      (.put, "/pumice/v1/nodes/n1", #"{"enabled": true}"#, 403, 403, 403, 200),
      (.get, "/pumice/v1/volumes/VOLUME/explain", nil, 200, 200, 404, 200),
      (.get, "/pumice/v1/doctor", nil, 403, 403, 403, 200),
      (.delete, "/v3/snapshots/SNAPSHOT", nil, 403, 202, 404, 0),
      (.delete, "/v3/volumes/VOLUME?cascade=true", nil, 403, 202, 404, 0),
    ]

  @Test func everyRoleMayDoExactlyWhatItsRoleSays() async throws {
    let instance = Instance(id: .random(), name: "vm", status: .active)
    try await withCoordinator(tokens: Self.tokens, nodes: [FakeNode("n1", instances: [instance])]) {
      (coordinator) async throws in
      let created = try await coordinator.send(
        .post, "/v3/volumes", #"{"volume": {"size": 1, "name": "db"}}"#, token: "token-of-the-member")
      let id = try #require(created["volume"]["id"].string.flatMap { VolumeID($0) })
      try await coordinator.until("it is available") { $0.volumes[id]?.state == .available }
      let taken = try await coordinator.send(
        .post, "/v3/snapshots", #"{"snapshot": {"volume_id": "\#(id)"}}"#, token: "token-of-the-member")
      let snapshot = try #require(taken["snapshot"]["id"].string)
      try await coordinator.until("all is there") { $0.pending.isEmpty }
      for row in Self.matrix {
        // What the row before began must not be in its way.
        try await coordinator.until("all is done") { $0.pending.isEmpty }
        func fill(_ text: String) -> String {
          text.split(separator: "VOLUME", omittingEmptySubsequences: false).joined(separator: "\(id)")
            .split(separator: "SNAPSHOT", omittingEmptySubsequences: false).joined(separator: snapshot)
            .split(separator: "INSTANCE", omittingEmptySubsequences: false).joined(separator: "\(instance.id)")
        }
        // The member, who may end the row, comes last.
        for (who, expected) in [
          ("reader", row.reader), ("stranger", row.stranger), ("admin", row.admin), ("member", row.member),
        ] where expected != 0 {
          let answer = try await coordinator.send(
            row.method, fill(row.path), row.body.map(fill), version: "3.60", token: "token-of-the-\(who)")
          #expect(answer.status == expected, "\(who) \(row.method) \(row.path): \(answer.text)")
        }
      }
    }
  }

  @Test(arguments: [
    "/v3/volumes", "/v3/demo/volumes", "/compute/v2.1/servers", "/pumice/v1/nodes", "/v3/limits",
  ])
  func withoutAValidTokenNothingIsTold(path: String) async throws {
    try await withCoordinator(tokens: Self.tokens) { (coordinator) async throws in
      for token in [nil, "", "token-of-nobody", "token-of-the-membe", "token-of-the-memberr"] as [String?] {
        let answer = try await coordinator.get(path, token: token)
        #expect(answer.status == 401)
        #expect(answer.error?.key == "unauthorized")
        #expect(answer.headers[.requestID]?.hasPrefix("req-") == true)
      }
    }
  }

  @Test func whatTellsNothingNeedsNoToken() async throws {
    try await withCoordinator(tokens: Self.tokens) { (coordinator) async throws in
      #expect(try await coordinator.get("/").status == 300)
      #expect(try await coordinator.get("/v3/").status == 200)
      #expect(try await coordinator.get("/compute/v2.1/").status == 200)
      #expect(try await coordinator.get("/healthz").text == "OK\n")
    }
  }

  @Test func listsShowOnlyTheCallersProject() async throws {
    try await withCoordinator(tokens: Self.tokens) { (coordinator) async throws in
      for token in ["token-of-the-member", "token-of-the-stranger", "token-of-the-admin"] {
        _ = try await coordinator.send(.post, "/v3/volumes", #"{"volume": {"size": 1}}"#, token: token)
      }
      func count(_ query: String, _ token: String) async throws -> Int {
        try await coordinator.get("/v3/volumes\(query)", token: token)["volumes"].array.count
      }
      #expect(try await count("", "token-of-the-reader") == 1)
      #expect(try await count("?all_tenants=1", "token-of-the-reader") == 1)
      #expect(try await count("", "token-of-the-admin") == 1)
      #expect(try await count("?all_tenants=1", "token-of-the-admin") == 3)
      #expect(try await count("?all_tenants=1&project_id=other", "token-of-the-admin") == 1)
    }
  }

  @Test func adminsActForProjectsThatExist() async throws {
    try await withCoordinator(tokens: Self.tokens) { (coordinator) async throws in
      let created = try await coordinator.send(
        .post, "/v3/other/volumes", #"{"volume": {"size": 1}}"#, token: "token-of-the-admin")
      #expect(created.status == 202)
      #expect(created["volume"]["os-vol-tenant-attr:tenant_id"].string == "other")
      let nowhere = try await coordinator.send(
        .post, "/v3/nowhere/volumes", #"{"volume": {"size": 1}}"#, token: "token-of-the-admin")
      #expect(nowhere.status == 404)
      #expect(nowhere.message.contains("nowhere"))
      #expect(coordinator.tables.volumes.count == 1)
      let quota = try await coordinator.send(
        .put, "/v3/os-quota-sets/nowhere", #"{"quota_set": {"volumes": 1}}"#, token: "token-of-the-admin")
      #expect(quota.status == 404)
      #expect(coordinator.tables.quotas.isEmpty)
    }
  }

  @Test func readersDoNotSeeWhereVolumesLie() async throws {
    try await withCoordinator(tokens: Self.tokens) { (coordinator) async throws in
      let created = try await coordinator.send(
        .post, "/v3/volumes", #"{"volume": {"size": 1}}"#, token: "token-of-the-member")
      let id = try #require(created["volume"]["id"].string)
      let reader = try await coordinator.get("/v3/volumes/\(id)", token: "token-of-the-reader")
      let admin = try await coordinator.get("/v3/volumes/\(id)", token: "token-of-the-admin")
      #expect(reader["volume"].object["os-vol-host-attr:host"] == nil)
      #expect(admin["volume"]["os-vol-host-attr:host"].string == "n1@ssd#ssd")
    }
  }
}
