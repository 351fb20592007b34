import HTTPTypes
import HashTreeCollections
import Logging
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceCoordinator

@Suite struct ServiceActionTests {
  @Test func whatIsOnAFrozenNodeStaysAsItIs() async throws {
    try await withCoordinator { (coordinator) async throws in
      let volume = try await coordinator.volume()
      let snapshot = try await coordinator.snapshot(of: volume)
      let freeze = try await coordinator.send(.put, "/v3/demo/os-services/freeze", #"{"host": "n1@ssd"}"#)
      #expect(freeze.status == 202)
      let service = try await coordinator.get("/v3/demo/os-services?binary=cinder-volume")["services"][0]
      #expect(service["frozen"] == .bool(true))
      #expect(service["status"] == .string("disabled") && service["disabled_reason"] == .string("frozen"))
      let refused = try await coordinator.send(.post, "/v3/demo/volumes", #"{"volume": {"size": 1}}"#)
      #expect(refused["volume"]["status"] == .string("error"))
      let attempts: [(HTTPRequest.Method, String, String?)] = [
        (.delete, "/v3/demo/volumes/\(volume)?cascade=true", nil), (.delete, "/v3/demo/snapshots/\(snapshot)", nil),
        (.post, "/v3/demo/snapshots", #"{"snapshot": {"volume_id": "\#(volume)"}}"#),
      ]
      for (method, path, body) in attempts {
        let answer = try await coordinator.send(method, path, body)
        #expect(answer.status == 400, "\(method) \(path)")
        #expect(answer.message.contains("n1, where it lies, is frozen"), "\(answer.text)")
      }
      let failed = try #require(refused["volume"]["id"].string)
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(failed)").status == 202, "It is on no node.")

      #expect(try await coordinator.send(.put, "/v3/demo/os-services/thaw", #"{"host": "n1@ssd"}"#).status == 202)
      #expect(
        try await coordinator.get("/v3/demo/os-services?binary=cinder-volume")["services"][0]["status"]
          == .string("enabled"))
      try await coordinator.volume("next")
      #expect(try await coordinator.send(.delete, "/v3/demo/volumes/\(volume)?cascade=true").status == 202)
      for host in ["n9@ssd", "n1@tape"] {
        let answer = try await coordinator.send(.put, "/v3/demo/os-services/freeze", #"{"host": "\#(host)"}"#)
        #expect(answer.status == 404, "\(host)")
      }
    }
  }

  @Test func aFrozenNodeThatIsDisabledStaysDisabledWhenItThaws() async throws {
    try await withCoordinator { (coordinator) async throws in
      for (path, body) in [
        ("disable-log-reason", #"{"host": "n1@ssd", "disabled_reason": "new disks"}"#),
        ("freeze", #"{"host": "n1@ssd"}"#), ("thaw", #"{"host": "n1@ssd"}"#),
      ] {
        _ = try await coordinator.send(.put, "/v3/demo/os-services/\(path)", body)
      }
      let service = try await coordinator.get("/v3/demo/os-services?binary=cinder-volume")["services"][0]
      #expect(service["status"] == .string("disabled") && service["disabled_reason"] == .string("new disks"))
    }
  }

  @Test func theLevelOfTheLogIsShownAndSet() async throws {
    try await withCoordinator { (coordinator) async throws in
      func levels(_ body: String) async throws -> [String] {
        let answer = try await coordinator.send(.put, "/v3/demo/os-services/get-log", body, version: "3.32")
        return answer["log_levels"].array.map {
          "\($0["binary"].string ?? "") \($0["host"].string ?? "") \($0["levels"].object.mapValues { $0.string ?? "" })"
        }
      }
      #expect(
        try await levels("{}") == [
          #"cinder-api coordinator ["pumice-coordinator": "INFO"]"#,
          #"cinder-scheduler coordinator ["pumice-coordinator": "INFO"]"#,
          #"cinder-volume n1@ssd ["pumice-agent": "INFO"]"#,
        ])
      func set(_ body: String) async throws -> Int {
        try await coordinator.send(.put, "/v3/demo/os-services/set-log", body, version: "3.32").status
      }
      #expect(try await set(#"{"level": "debug", "binary": "*"}"#) == 202)
      #expect(coordinator.api.logLevel.value == .debug)
      #expect(
        try await levels(#"{"binary": "cinder-api"}"#) == [#"cinder-api coordinator ["pumice-coordinator": "DEBUG"]"#])
      #expect(try await levels(#"{"server": "elsewhere"}"#) == [])
      #expect(try await set(#"{"level": "ERROR", "prefix": "sqlalchemy"}"#) == 202)
      #expect(try await set(#"{"level": "ERROR", "server": "elsewhere"}"#) == 202)
      #expect(coordinator.api.logLevel.value == .debug, "None of these is ours.")
      #expect(try await set(#"{"level": "LOUD"}"#) == 400)
      #expect(try await set(#"{"binary": "*"}"#) == 400)
      #expect(try await set(#"{"level": "INFO", "binary": "nova"}"#) == 400)
    }
  }

  @Test func nothingIsReplicatedSoNothingFailsOver() async throws {
    try await withCoordinator { (coordinator) async throws in
      for path in ["failover_host", "failover"] {
        func fail(_ body: String) async throws -> Answer {
          try await coordinator.send(.put, "/v3/demo/os-services/\(path)", body, version: "3.26")
        }
        let refused = try await fail(#"{"host": "n1@ssd", "backend_id": null}"#)
        #expect(refused.status == 400 && refused.message.contains("replicated nowhere"), "\(refused.text)")
        #expect(try await fail(#"{"host": "n9@ssd"}"#).status == 404)
        #expect(try await fail("{}").status == 400)
      }
      let early = try await coordinator.send(
        .put, "/v3/demo/os-services/failover", #"{"host": "n1@ssd"}"#, version: "3.25")
      #expect(early.status == 404)
    }
  }

  @Test func agentsAreToldWhatToLog() async throws {
    let nodes = [FakeNode("n1"), FakeNode("n2")]
    try await withCoordinator(nodes: nodes) { (coordinator) async throws in
      func set(_ body: String) async throws -> Answer {
        try await coordinator.send(.put, "/v3/demo/os-services/set-log", body, version: "3.32")
      }
      func levels(_ body: String) async throws -> [String: [String: String?]] {
        let answer = try await coordinator.send(.put, "/v3/demo/os-services/get-log", body, version: "3.32")
        return Dictionary(
          uniqueKeysWithValues: answer["log_levels"].array.map {
            ($0["host"].string ?? "", $0["levels"].object.mapValues(\.string))
          })
      }
      #expect(try await set(#"{"level": "DEBUG", "binary": "cinder-volume", "server": "n2@ssd"}"#).status == 202)
      #expect(nodes.map(\.logLevel) == [.info, .debug])
      #expect(coordinator.api.logLevel.value == .info)
      #expect(try await set(#"{"level": "WARNING", "server": "n1"}"#).status == 202)
      #expect(nodes.map(\.logLevel) == [.warning, .debug])
      let agents = #""binary": "cinder-volume""#
      #expect(
        try await levels("{\(agents)}") == [
          "n1@ssd": ["pumice-agent": "WARNING"], "n2@ssd": ["pumice-agent": "DEBUG"],
        ])
      #expect(try await levels(#"{\#(agents), "prefix": "oslo", "server": "n1@ssd"}"#) == ["n1@ssd": [:]])
      #expect(try await levels(#"{\#(agents), "server": "n9"}"#).isEmpty)
      #expect(try await set(#"{"level": "ERROR", \#(agents), "prefix": "oslo"}"#).status == 202)
      #expect(nodes.map(\.logLevel) == [.warning, .debug], "No logger is called so.")

      nodes[1].failLogs(with: StorageError(.unavailable, "It is away."))
      let failed = try await set(#"{"level": "ERROR", \#(agents)}"#)
      #expect(failed.status == 400 && failed.message.contains("n2: It is away."), "\(failed.text)")
      #expect(nodes[0].logLevel == .error, "One that is away keeps nobody else from it.")
      #expect(try await levels("{\(agents)}") == ["n1@ssd": ["pumice-agent": "ERROR"], "n2@ssd": [:]])
    }
  }

  @Test func aLoggerFollowsTheLevelOfTheProcess() {
    let level = LogLevel(.info)
    var logger = Logger(label: "test") { _ in LeveledLogHandler(SwiftLogNoOpLogHandler(), from: level) }
    #expect(logger.logLevel == .info)
    logger.logLevel = .trace
    let copy = logger
    level.set(.error)
    #expect(logger.logLevel == .error && copy.logLevel == .error)
    level.set(.debug)
    logger.logLevel = .warning
    #expect(logger.logLevel == .warning && copy.logLevel == .debug, "One may be quieter, and none is louder.")
  }

  @Test func thereIsNothingToCleanUp() async throws {
    try await withCoordinator { (coordinator) async throws in
      let path = "/v3/demo/workers/cleanup"
      let answer = try await coordinator.send(
        .post, path, #"{"host": "n1@ssd", "is_up": true, "resource_type": "Volume"}"#, version: "3.24")
      #expect(answer.status == 202)
      #expect(answer.json == .object(["cleaning": .array([]), "unavailable": .array([])]))
      for body in [#"{"resource_type": "Shoe"}"#, #"{"is_up": "perhaps"}"#, #"{"resource_id": "x"}"#, #"{"a": 1}"#] {
        #expect(try await coordinator.send(.post, path, body, version: "3.24").status == 400, "\(body)")
      }
      #expect(try await coordinator.send(.post, path, "{}", version: "3.23").status == 404)
    }
  }

  @Test func noClusterIsThere() async throws {
    try await withCoordinator { (coordinator) async throws in
      for path in ["clusters", "clusters/detail"] {
        #expect(try await coordinator.get("/v3/demo/\(path)", version: "3.7").json == .object(["clusters": .array([])]))
      }
      #expect(try await coordinator.get("/v3/demo/clusters/c1", version: "3.7").status == 404)
      #expect(
        try await coordinator.send(.put, "/v3/demo/clusters/enable", #"{"name": "c1"}"#, version: "3.7").status == 404)
      #expect(try await coordinator.get("/v3/demo/clusters", version: "3.6").status == 404)
    }
  }

  @Test func aBackendSaysWhatItCan() async throws {
    try await withCoordinator { (coordinator) async throws in
      for host in ["n1@ssd", "n1%40ssd%23ssd"] {
        let answer = try await coordinator.get("/v3/demo/capabilities/\(host)")
        #expect(answer.status == 200)
        #expect(answer["volume_backend_name"] == .string("ssd") && answer["pool_name"] == .string("ssd"))
        #expect(answer["vendor_name"] == .string("Pumice"))
        #expect(answer["storage_protocol"] == .string("memory"))
        #expect(answer["properties"]["media"]["type"] == .string("string"))
        #expect(answer["properties"]["multiattach"]["type"] == .string("boolean"))
      }
      for host in ["n1", "n1@tape", "n2@ssd"] {
        #expect(try await coordinator.get("/v3/demo/capabilities/\(host)").status == 404, "\(host)")
      }
    }
  }
}
