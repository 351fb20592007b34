import HTTPTypes
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct DescriptionTests {
  @Test func everyRouteIsDescribedAndNothingElse() async throws {
    try await withCoordinator { (coordinator) async throws in
      let routes = Set(coordinator.api.routed().routes.map(\.name))
      let described = Set(OperationDescription.all.keys)
      #expect(routes.subtracting(described) == [], "These need a line in Sources/PumiceCoordinator/Description.")
      #expect(described.subtracting(routes) == [], "These are described and not there.")
    }
  }

  /// What the policy's test sends, which is answered with success, is what the description says; and so are the answers.
  @Test func requestsAndAnswersAreAsDescribed() async throws {
    try await PolicyFixture.with { fixture in
      let expectations = Dictionary(grouping: PolicyExpectation.all, by: \.route)
      for route in fixture.coordinator.api.routed().routes {
        guard let description = OperationDescription.all[route.name] else { continue }
        for expectation in expectations[route.name] ?? [] where expectation.status < 300 {
          let answer = try await fixture.answer(to: route, expectation, as: .admin, about: fixture.own)
          #expect(answer.status == description.status, "\(route.name)")
          if let schema = description.answer {
            #expect(schema.difference(from: answer.json) == nil, "\(route.name): \(answer.text)")
          }
          #expect((expectation.body == nil) == (description.body == nil), "\(route.name)")
          if let body = expectation.body, let schema = description.body {
            let value = Array(fixture.own.filled(body).utf8).withUnsafeBufferPointer { try? JSONParser.parse($0) }
            #expect(schema.difference(from: try #require(value)) == nil, "\(route.name)")
          }
        }
      }
    }
  }

  @Test func theDocumentNamesEveryPathOnceWithItsRole() async throws {
    try await withCoordinator { (coordinator) async throws in
      let document = try await coordinator.get("/openapi.json")
      #expect(document.status == 200 && document["openapi"] == .string("3.1.0"))
      let paths = document["paths"].object
      #expect(paths["/v3/volumes/{id}"]?["get"]["x-role"][""] == .string("reader"))
      #expect(paths["/v3/volumes/{id}/action"]?["post"]["x-role"]["os-reset_status"] == .string("admin"))
      #expect(paths["/v3/volumes/{id}"]?["get"]["parameters"][0]["in"] == .string("path"))
      let routes = coordinator.api.routed().routes
      #expect(Set(paths.keys) == Set(routes.map { "/\($0.prefixes[0])/\($0.path)" }))
    }
  }
}
