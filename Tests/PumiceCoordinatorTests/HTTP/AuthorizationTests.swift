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
