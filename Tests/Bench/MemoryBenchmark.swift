import Foundation
import TestBed

/// What the daemons keep in memory when idle: the coordinator started anew over 10,000 volumes.
enum MemoryBenchmark {
  static func run(_ report: inout Report) async throws {
    let (coordinator, agent, start) = try await MemoryFleet.with { fleet in
      try await Task.sleep(for: .seconds(10))
      let agent = try await residentMiB(fleet.agent)
      _ = try await fleet.create(10_000, clients: 16)
      try await fleet.coordinator.daemon.stop()
      let clock = ContinuousClock()
      let begin = clock.now
      try await fleet.coordinator.daemon.start()
      let start = clock.now - begin
      try await Task.sleep(for: .seconds(15))
      return (try await residentMiB(fleet.coordinator.daemon), agent, start)
    }
    report.add(
      "coordinator idle, 10,000 volumes", "\(format(coordinator)) MiB RSS", promise: "< 80 MiB", holds: coordinator < 80
    )
    report.add("agent idle", "\(format(agent)) MiB RSS", promise: "< 50 MiB", holds: agent < 50)
    report.add(
      "coordinator start, 10,000 volumes", "\(format(start.milliseconds, 0)) ms", promise: "< 500 ms",
      holds: start.milliseconds < 500)
  }

  private static func residentMiB(_ daemon: Daemon) async throws -> Double {
    guard let pid = await daemon.processID else { throw TestBedFailure("\(daemon.name) is not running.") }
    let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS") }),
      let kibibytes = line.split(separator: " ").dropFirst().compactMap({ Double($0) }).first
    else { throw TestBedFailure("No VmRSS in the status of \(daemon.name).") }
    return kibibytes / 1024
  }
}
