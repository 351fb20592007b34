import Foundation
import TestBed

/// Shows Pumice's main job on real parts: a volume is created, attached to a running guest that writes to it, extended,
/// detached and deleted. Leaves nothing behind, however it ends; with `KEEP=1` it leaves all of it running.
@main
struct Demo {
  static func main() async {
    let interrupts = Interrupts([SIGINT, SIGTERM, SIGHUP])
    let keeps = ProcessInfo.processInfo.environment["KEEP"].map { !$0.isEmpty && $0 != "0" } ?? false
    let status = await withTaskGroup(of: Int32?.self) { group in
      group.addTask { await run(keeping: keeps) }
      group.addTask { await interrupts.first() }
      let first = await group.next() ?? nil
      group.cancelAll()
      // An interrupted show has its cleaning still before it.
      for await _ in group {}
      return first ?? 1
    }
    exit(status)
  }

  /// Returns the exit status.
  private static func run(keeping keeps: Bool) async -> Int32 {
    do {
      let bed = try Bed()
      do {
        let fleet = try await LoopbackFleet(in: bed)
        let demonstration = Demonstration(fleet: fleet)
        try await demonstration.begin()
        if keeps {
          try await demonstration.keep()
          return 0
        }
        try await fleet.telling { try await demonstration.mainJob() }
        try await demonstration.step("everything stopped, nothing left") { try await bed.end() }
      } catch {
        if !Task.isCancelled { complain("The demo failed: \(error)") }
        try await bed.end()
        return 1
      }
      return 0
    } catch {
      complain("The demo failed: \(error)")
      return 1
    }
  }

  private static func complain(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
  }
}
