import Foundation
import TestBed

/// A page of 50 of 1,000 volumes, against a constant route with a body of the same size, both under `wrk`.
enum ListingBenchmark {
  static func run(_ report: inout Report) async throws {
    let (listing, constant, bytes) = try await MemoryFleet.with { fleet in
      _ = try await fleet.create(1000, clients: 16)
      let page = "\(fleet.coordinator.url)/v3/demo/volumes/detail?limit=50"
      let body = fleet.bed.folder.file("body.json")
      try await fleet.bed.run(["curl", "--silent", "--fail", "--output", body, page])
      let port = try freePort()
      let address = "127.0.0.1:\(port)"
      let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      let constant = Daemon("constant", [own, "serve", "\(port)", body], in: fleet.bed) { answers(address) }
      try await constant.start()
      let load = ["-t1", "-c16", "-d4s"]
      var rates: (listing: [Double], constant: [Double]) = ([], [])
      // In turns, so that what else the machine does weighs on both.
      for _ in 0..<3 {
        rates.constant.append(try await requestRate(of: "http://\(address)/constant", load, in: fleet.bed))
        rates.listing.append(try await requestRate(of: page, load, in: fleet.bed))
      }
      let size = try FileManager.default.attributesOfItem(atPath: body)[.size] as? Int ?? 0
      return (rates.listing.percentile(0.5), rates.constant.percentile(0.5), size)
    }
    report.note("constant route, \(bytes) bytes", "\(format(constant, 0)) requests/s")
    report.add(
      "volumes/detail?limit=50 of 1,000", "\(format(listing, 0)) requests/s = \(format(100 * listing / constant, 0)) %",
      promise: ">= 40 % of the constant route", holds: listing >= 0.4 * constant)
  }
}

/// What `wrk` says, in requests per second.
func requestRate(of url: String, _ options: [String], in bed: Bed) async throws -> Double {
  let output = try await bed.run(["wrk"] + options + [url])
  guard let line = output.split(separator: "\n").first(where: { $0.contains("Requests/sec") }),
    let rate = line.split(separator: " ").last.flatMap({ Double($0) }), !output.contains("Non-2xx")
  else { throw TestBedFailure("wrk said: \(output)") }
  return rate
}
