import Testing

@testable import pumice

struct LookupTests {
  private static let named = "GET \(Fixture.detail)?name=db"

  @Test func aNameIsFoundExactly() async throws {
    let (run, _) = try await run(
      "volume", "show", "db", "--quiet",
      against: [
        Self.named: [
          Fixture.many(Fixture.volume("available", name: "db2", id: Fixture.otherID), Fixture.volume("available"))
        ]
      ])
    #expect(run.output == Fixture.volumeID)
  }

  @Test func anAmbiguousNameListsTheIds() async throws {
    let (run, _) = try await run(
      "volume", "show", "db",
      against: [
        Self.named: [Fixture.many(Fixture.volume("available", id: Fixture.otherID), Fixture.volume("available"))]
      ])
    #expect(run.status == .conflict)
    #expect(
      run.errors
        == "pumice: \"db\" is the name of 2 volumes: \(Fixture.volumeID), \(Fixture.otherID). Give an id instead.")
  }

  @Test func anUnknownNameIsNotFound() async throws {
    let (run, _) = try await run("volume", "show", "db", against: [Self.named: [Fixture.many()]])
    #expect(run.status == .notFound)
    #expect(run.errors == "pumice: There is no volume \"db\" in project p. See: pumice volume list")
  }

  @Test func anIdIsAskedForDirectly() async throws {
    let (_, calls) = try await run(
      "volume", "show", Fixture.volumeID, against: [Fixture.show: [Fixture.one(Fixture.volume("available"))]])
    #expect(calls.map(\.line) == [Fixture.show])
  }

  @Test func aNameThatLooksLikeAnIdIsFoundToo() async throws {
    let (run, _) = try await run(
      "volume", "show", Fixture.volumeID, "--quiet",
      against: [
        Fixture.show: [Fixture.missing],
        "GET \(Fixture.detail)?name=\(Fixture.volumeID)": [
          Fixture.many(Fixture.volume("available", name: Fixture.volumeID, id: Fixture.otherID))
        ],
      ])
    #expect(run.output == Fixture.otherID)
  }

  @Test func namesAreEscapedInTheQuery() async throws {
    let (_, calls) = try await run("volume", "show", "a b&limit=1", against: [:])
    #expect(calls.map(\.line) == ["GET \(Fixture.detail)?name=a%20b%26limit%3D1"])
  }
}
