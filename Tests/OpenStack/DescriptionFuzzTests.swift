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
      // Nodes that say something once are up for the whole of the test.
      let fleet = try MemoryCloud(in: bed, extra: "service_down_time: 3600\nlog_level: warning")
      try await fleet.startDaemons()
      let api = fleet.coordinator.api()
      try await eventually("the coordinator knows the node's pool") {
        !(try await api.get("/v3/demo/scheduler-stats/get_pools")["pools"].array.isEmpty)
      }
      let clients = try await Clients.folder(in: bed)
      let seed = Int.random(in: 1...1_000_000)
      let output = try await bed.run(
        [
          "\(clients)/bin/python", "\(Clients.scripts)/fuzz.py", fleet.coordinator.url, fleet.coordinator.joinTokenFile,
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
