import Foundation
import TestBed

/// A project with 10,000 volumes, read page by page, and by a hundred clients at once.
enum PagesBenchmark {
  private static let count = 10_000

  static func run(_ report: inout Report) async throws {
    let (pages, sdk): ([Double], ManyClients) = try await MemoryFleet.with { fleet in
      _ = try await fleet.create(count, clients: 32)
      let pages = try await Self.pages(of: fleet)
      let clients = try await Clients.folder(in: fleet.bed)
      let said = try await fleet.bed.run(
        ["\(clients)/bin/python", "\(Clients.scripts)/many_clients.py", fleet.coordinator.url, "100"],
        within: .seconds(240))
      return (pages, try JSONDecoder().decode(ManyClients.self, from: Data(said.utf8)))
    }
    let slow = pages.percentile(0.99)
    report.add(
      "page of 100 of \(count) volumes in full, p99",
      "\(format(slow, 1)) ms (median \(format(pages.percentile(0.5), 1)))",
      promise: "< 50 ms", holds: slow < 50)
    report.note(
      "100 openstacksdk clients, 1,000 volumes each", "\(format(sdk.seconds, 1)) s, slowest \(format(sdk.slowest, 1)) s"
    )
  }

  private struct ManyClients: Decodable {
    let seconds: Double
    let slowest: Double
  }

  /// How long each took, in milliseconds, from first to last, twice.
  private static func pages(of fleet: MemoryFleet) async throws -> [Double] {
    let (api, clock) = (fleet.api, ContinuousClock())
    var times: [Double] = []
    for _ in 0..<2 {
      var (marker, seen) = ("", 0)
      while true {
        let start = clock.now
        let page = try await api.get("/v3/demo/volumes/detail?limit=100\(marker)")
        times.append((clock.now - start).milliseconds)
        let volumes = page["volumes"].array
        seen += volumes.count
        guard let last = volumes.last?["id"].string else { break }
        marker = "&marker=\(last)"
      }
      guard seen == count else { throw TestBedFailure("The pages had \(seen) volumes, not \(count).") }
    }
    return times
  }
}
