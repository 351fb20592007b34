import HTTPTypes
import Hummingbird
import PumiceModel
import Testing

@testable import PumiceCoordinator

/// Every route × every role × things of the caller's project and of another one.
@Suite struct PolicyTests {
  /// Those that need no permission of this policy: they tell nothing, or know their callers in another way.
  private static let open: Set<String> = [
    "GET /", "GET /v3", "GET /compute", "GET /compute/v2.1", "GET /healthz", "GET /openapi.json",
    "POST /nodes/v1/reports",
  ]

  @Test func everyRouteLetsInExactlyThoseWhoMay() async throws {
    try await PolicyFixture.with { fixture in
      let expectations = Dictionary(grouping: PolicyExpectation.all, by: \.route)
      let routes = fixture.coordinator.api.routed().routes
      #expect(Set(expectations.keys).subtracting(routes.map(\.name)) == [], "These are expected and not there.")
      for route in routes {
        guard let expected = expectations[route.name] else {
          Issue.record("\(route.name) has no line in PolicyExpectations.swift.")
          continue
        }
        for expectation in expected {
          for role in Role.allCases {
            for holdings in [fixture.own, fixture.other] {
              let answer = try await fixture.answer(to: route, expectation, as: role, about: holdings)
              let status = expectation.status(for: role, ofAnotherProject: holdings.project != "demo")
              #expect(
                answer.status == status, "\(role), \(route.name) of project \(holdings.project): \(answer.text)")
            }
          }
        }
      }
    }
  }

  @Test func onlyServicesAndAdminsActForAnotherProject() async throws {
    try await PolicyFixture.with { fixture in
      let expectations = Dictionary(grouping: PolicyExpectation.all, by: \.route)
      for route in fixture.coordinator.api.routed().routes where route.prefixes.count > 1 {
        for expectation in expectations[route.name] ?? [] {
          for role in Role.allCases {
            let answer = try await fixture.answer(
              to: route, expectation, as: role, about: fixture.other, inProject: "other")
            let status = role < .service ? 400 : expectation.status(for: role, ofAnotherProject: false)
            #expect(answer.status == status, "\(role), \(route.name) in project other: \(answer.text)")
          }
        }
      }
    }
  }

  @Test func noRouteIsBesideThePolicy() async throws {
    try await withCoordinator { (coordinator) async throws in
      let (router, routes) = coordinator.api.routed()
      let noted = Set(routes.flatMap { route in route.prefixes.map { "\(route.method) /\($0)/\(route.path)" } })
      #expect(Set(router.routes.map { "\($0.method) \($0.path)" }).subtracting(noted) == Self.open)
    }
  }

  @Test(arguments: [
    (Role.reader, ["reader"]), (.member, ["reader", "member"]), (.service, ["service"]),
    (.admin, ["reader", "member", "admin"]),
  ])
  func aRoleBringsThoseThatItImplies(role: Role, names: [String]) {
    #expect((role.implied + [role]).map(\.rawValue) == names)
    #expect(role.implied.allSatisfy { $0 < role })
    #expect(Role(keystone: role.rawValue.uppercased()) == role)
  }

  @Test func aNameOfKeystoneThatGivesNothingHereIsNoRole() {
    #expect(Role(keystone: "manager") == .member)
    #expect(Role(keystone: "heat_stack_owner") == nil)
  }
}
