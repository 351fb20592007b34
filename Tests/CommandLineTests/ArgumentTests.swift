import Testing

@testable import pumice

struct ArgumentTests {
  /// Command lines that make no sense end with status 2, before anything is sent, with a message that names the fault.
  @Test(arguments: [
    ("volume create db", "--size"), ("volume create --size 10", "<name>"), ("volume create db --size 0", "--size"),
    ("volume create db --snapshot s --source v", "--source"), ("volume create db --snapshot s --size 0", "--size"),
    ("volume revert", "<volume>"), ("volume revert db s t", "t"), ("snapshot create", "<volume>"),
    ("snapshot create db --metadata novalue", "novalue"), ("snapshot create db --property =x", "=x"),
    ("snapshot delete", "<snapshots>"), ("snapshot list --limit 1001", "--limit"),
    ("volume create db --size -1", "--size"), ("volume create db --size 1.5", "1.5"),
    ("volume create db --size 99999999999", "--size"), ("volume create db --size ten", "ten"),
    ("volume create db --size 1 --metadata novalue", "novalue"), ("volume create db --size 1 --metadata =x", "=x"),
    ("volume create db --size 1 --timeout 0", "--timeout"), ("volume extend db", "--size"),
    ("volume extend db --size 0", "--size"), ("volume list --json --quiet", "--quiet"),
    ("volume list --limit 0", "--limit"), ("volume list --url ftp://x", "ftp://x"),
    ("volume list --project a/b", "a/b"), ("volume delete", "<volumes>"), ("attach db", "<instance>"),
    ("attach db web --device ../sda", "--device"), ("attach db web --device /dev/", "--device"),
    ("quota set p", "--volumes"), ("quota set p --volumes -2", "volumes"), ("quota set p --limit a=x", "a must"),
    ("node lost n", "--yes"), ("node lost n --yes --undo", "--undo"), ("frobnicate", "frobnicate"),
    ("volume list --frob", "--frob"),
  ])
  func nonsenseIsAUsageError(_ line: String, _ named: String) async {
    let run = await CommandRun.pumice(line.split(separator: " ").map(String.init))
    #expect(run.status == .usage)
    #expect(run.errors.contains(named), "\(run.errors)")
    #expect(run.output.isEmpty)
  }

  /// Empty names come from shell variables that are not set.
  @Test(arguments: [
    ["volume", "create", "", "--size", "1"], ["volume", "create", " ", "--size", "1"],
    ["snapshot", "create", "db", "--name", ""], ["type", "create", ""], ["volume", "delete", ""],
    ["snapshot", "delete", ""], ["volume", "show", ""], ["snapshot", "create", ""], ["detach", ""],
    ["volume", "create", "db", "--snapshot", ""], ["volume", "create", "db", "--source", ""], ["type", "delete", ""],
  ])
  func emptyNamesNameNothing(_ arguments: [String]) async throws {
    let nameless = Fixture.volume("available", name: "")
    let coordinator = ScriptedCoordinator([
      "GET \(Fixture.detail)?name=": [Fixture.many(nameless)],
      "GET \(Fixture.snapshots)?name=": [Fixture.snapshotList(Fixture.snapshot("available", name: ""))],
    ])
    let run = try await coordinator.serve { url in await CommandRun.pumice(arguments, url: url) }
    #expect(run.status == .usage)
    #expect(run.errors.contains("empty"), "\(run.errors)")
    #expect(coordinator.calls.isEmpty)
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func completionsAreGenerated(_ shell: String) async {
    let run = await CommandRun.pumice(["--generate-completion-script", shell])
    #expect(run.status == .ok)
    #expect(run.output.contains("volume") && run.output.contains("all-projects"))
  }

  @Test(arguments: [
    "volume", "volume create", "volume list", "volume show", "volume extend", "volume revert", "volume delete",
    "snapshot",
    "snapshot create", "snapshot list", "snapshot show", "snapshot explain", "snapshot delete", "attach", "detach",
    "instance list", "node list", "node show", "node enable", "node disable", "node lost", "pool list", "type list",
    "type show", "type create", "type delete", "quota show", "quota set", "explain", "doctor",
  ])
  func everyVerbHasHelp(_ verb: String) async {
    let run = await CommandRun.pumice(verb.split(separator: " ").map(String.init) + ["--help"])
    #expect(run.status == .ok)
    #expect(run.output.contains("USAGE: pumice \(verb)"))
  }

  @Test func pairsMayHaveEmptyValuesAndMoreEqualSigns() {
    #expect(KeyValue(argument: "a=b=c")?.value == "b=c")
    #expect(KeyValue(argument: "a=")?.value == "")
    #expect(KeyValue(argument: "=b") == nil)
    #expect(KeyValue(argument: "a") == nil)
  }

  @Test(arguments: [
    ("db", "db"), ("a b", "a%20b"), ("../x", "..%2Fx"), ("..", "%2E%2E"), ("ä", "%C3%A4"), ("a?b#c&d", "a%3Fb%23c%26d"),
  ])
  func namesCannotLeaveTheirPlaceInAPath(_ name: String, _ escaped: String) {
    #expect(APIPath.escape(name) == escaped)
  }
}
