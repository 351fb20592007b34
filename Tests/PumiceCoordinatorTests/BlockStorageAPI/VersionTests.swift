import HTTPTypes
import Testing

@testable import PumiceCoordinator

@Suite struct VersionTests {
  @Test func theDocumentsNameTheVersionsAndWhereTheyAre() async throws {
    try await withCoordinator { (coordinator) async throws in
      for (path, status) in [("/", 300), ("/v3", 200), ("/v3/", 200)] {
        let answer = try await coordinator.get(path)
        let version = answer["versions"][0]
        #expect(answer.status == status)
        #expect(version["id"] == .string("v3.0"))
        #expect(version["status"] == .string("CURRENT"))
        #expect(version["min_version"] == .string("3.0"))
        #expect(version["version"] == .string("3.70"))
        #expect(version["links"].array.contains { $0["href"] == .string("http://localhost/v3/") })
      }
      let compute = try await coordinator.get("/compute/v2.1/")
      #expect(compute["version"]["id"] == .string("v2.1"))
      #expect(compute["version"]["min_version"] == .string("2.1"))
    }
  }

  @Test(
    arguments: [
      (nil, 200, "3.0"), ("3.0", 200, "3.0"), ("3.27", 200, "3.27"), ("3.70", 200, "3.70"), ("latest", 200, "3.70"),
      ("3.71", 406, "3.0"), ("3.999", 406, "3.0"), ("2.0", 406, "3.0"), ("4.0", 406, "3.0"), ("3", 400, "3.0"),
      ("3.", 400, "3.0"), ("three", 400, "3.0"), ("3.01", 400, "3.0"), ("3.-1", 400, "3.0"), ("3.1.1", 400, "3.0"),
      ("3.99999999999999999999", 400, "3.0"),
    ] as [(String?, Int, String)])
  func theVersionIsHonouredAndEchoed(version: String?, status: Int, echo: String) async throws {
    try await withCoordinator { (coordinator) async throws in
      let answer = try await coordinator.get("/v3/demo/volumes", version: version)
      #expect(answer.status == status, "\(answer.text)")
      #expect(answer.headers[.apiVersion] == "volume \(echo)")
      #expect(answer.headers[.vary] == "OpenStack-API-Version")
      if status == 406 {
        #expect(answer.error?.code == 406)
        #expect(answer.message.contains("3.0") && answer.message.contains("3.70"))
      }
    }
  }

  @Test func ofSeveralServicesOursCounts() async throws {
    try await withCoordinator { (coordinator) async throws in
      let answer = try await coordinator.send(
        .get, "/v3/demo/volumes", headers: ["OpenStack-API-Version": "compute 2.90, volume 3.27"])
      #expect(answer.headers[.apiVersion] == "volume 3.27")
      let gopher = try await coordinator.send(
        .get, "/v3/demo/volumes", headers: ["OpenStack-API-Version": "volumev3 3.27"])
      #expect(gopher.headers[.apiVersion] == "volume 3.27")
      let other = try await coordinator.send(
        .get, "/v3/demo/volumes", headers: ["OpenStack-API-Version": "compute 2.90"])
      #expect(other.headers[.apiVersion] == "volume 3.0")
      let legacy = try await coordinator.send(
        .get, "/compute/v2.1/servers", headers: ["X-OpenStack-Nova-API-Version": "2.1"])
      #expect(legacy.headers[.novaAPIVersion] == "2.1")
      let beyond = try await coordinator.send(
        .get, "/compute/v2.1/servers", headers: ["X-OpenStack-Nova-API-Version": "2.90"])
      #expect(beyond.status == 406)
    }
  }

  @Test(arguments: [
    ("attachments", "3.26", 404), ("attachments", "3.27", 200), ("messages", "3.2", 404), ("messages", "3.3", 200),
    ("volumes/summary", "3.11", 404), ("volumes/summary", "3.12", 200), ("resource_filters", "3.32", 404),
    ("resource_filters", "3.33", 200),
  ])
  func aResourceIsThereFromItsVersionOn(path: String, version: String, status: Int) async throws {
    try await withCoordinator { (coordinator) async throws in
      #expect(try await coordinator.get("/v3/demo/\(path)", version: version).status == status)
    }
  }

  @Test func everyAnswerHasItsOwnRequestID() async throws {
    try await withCoordinator { (coordinator) async throws in
      var seen: Set<String> = []
      for path in ["/", "/v3/demo/volumes", "/v3/demo/volumes/nope", "/no/such/route", "/healthz", "/pumice/v1/nodes"] {
        let id = try #require(try await coordinator.get(path).headers[.requestID])
        #expect(id.hasPrefix("req-") && id.utf8.count == 40)
        #expect(seen.insert(id).inserted)
      }
      let unknown = try await coordinator.get("/no/such/route")
      #expect(unknown.status == 404)
      #expect(unknown.error?.key == "itemNotFound")
    }
  }
}
