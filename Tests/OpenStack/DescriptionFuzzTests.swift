import Foundation
import TestBed
import Testing

extension OpenStackTests {
  /// Whatever requests are made from the description of the API, right ones and wrong ones: none is answered with an error
  /// of the server, and every answer is as the description says.
  @Test func twentyThousandRequestsFindNoErrorOfTheServer() async throws {
    struct Outcome: Decodable {
      let requests: Int
      let rounds: Int
      let seconds: Int
      let failures: [String]
    }
    try await Bed.with { bed in
      let fleet = try await MemoryCloud(in: bed)
      try await fleet.start()
      let clients = try await Walk.clients(in: bed)
      let seed = Int.random(in: 1...1_000_000)
      let output = try await bed.run(
        [
          "\(clients)/bin/python", "\(Walk.scripts)/fuzz.py", fleet.coordinator.url, fleet.coordinator.joinTokenFile,
          try bed.folder.folder("fuzz"), "\(seed)", "20000",
        ], within: .seconds(540))
      let line = try #require(output.split(separator: "\n").last)
      let outcome = try JSONDecoder().decode(Outcome.self, from: Data(line.utf8))
      #expect(outcome.failures.isEmpty, "Seed \(seed): \(outcome.failures.joined(separator: "\n"))")
      #expect(outcome.requests >= 20_000, "Seed \(seed): \(outcome)")
      let areRunning = (await fleet.coordinator.daemon.isRunning, await fleet.agent.isRunning)
      #expect(areRunning == (true, true), "Seed \(seed)")
      print("\(outcome.requests) requests in \(outcome.seconds) s, seed \(seed).")
    }
  }
}

/// A coordinator whose callers are all admins, and an agent whose drivers are in memory.
private struct MemoryCloud {
  let coordinator: CoordinatorDaemon
  let agent: Daemon

  init(in bed: Bed) async throws {
    // Nodes that say something once are up for the whole of the test.
    coordinator = try CoordinatorDaemon(in: bed, extra: "service_down_time: 3600\nlog_level: warning")
    let address = "127.0.0.1:\(try freePort())"
    let configuration = try bed.folder.write(
      """
      name: memory1
      listen: \(address)
      coordinator: \(coordinator.url)
      join_token_file: \(coordinator.joinTokenFile)
      state_directory: \(try bed.folder.folder("memory1"))
      report_interval: 1
      log_level: warning
      backends:
        - name: memory
          kind: memory
          pools: {memory: 1000000}
      exporter: {kind: memory}
      hypervisor: {kind: memory}

      """, to: "memory1.yaml")
    agent = Daemon("pumice-agent-memory1", [try Binaries.path("pumice-agent"), "--config", configuration], in: bed) {
      answers(address)
    }
  }

  func start() async throws {
    try await coordinator.daemon.start()
    try await agent.start()
    let api = coordinator.api()
    try await eventually("the coordinator knows the node's pool") {
      !(try await api.get("/v3/demo/scheduler-stats/get_pools")["pools"].array.isEmpty)
    }
  }
}
