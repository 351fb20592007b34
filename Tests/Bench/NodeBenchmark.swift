import Foundation
import Logging
import PumiceAgent
import PumiceModel
import PumiceWire
import TestBed

/// `pumice-bench node`: what is measured in a node of the lab, by this program there. Prints a name and milliseconds a line.
enum NodeBenchmark {
  static func run(_ arguments: [String]) async throws {
    switch arguments.first {
    case "lvcreate" where arguments.count == 3: try await lvcreate(arguments[2], in: arguments[1])
    case "exports": try await ExportBenchmark.run()
    case "state" where arguments.count == 2: try await StateBenchmark.run(disk: arguments[1])
    default: throw TestBedFailure("Nobody measures \(arguments).")
    }
  }

  static func say(_ name: String, _ duration: Duration) { Swift.print("\(name) \(duration.milliseconds)") }

  static let silent = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }

  /// The command that a thin volume needs, as an operator would give it.
  private static func lvcreate(_ name: String, in group: String) async throws {
    let clock = ContinuousClock()
    let start = clock.now
    try await command(
      "lvcreate", "-y", "-an", "-ky", "--type", "thin", "-V", "1g", "--thinpool", "\(group)-pool", "-n", name,
      "--addtag", "pumice-bench", group)
    say("lvcreate", clock.now - start)
  }

  @discardableResult
  static func command(_ words: String...) async throws -> String {
    let outcome = try await CommandRunner(deadline: .seconds(300), outputLimit: 64 << 20).run(
      words[0], Array(words.dropFirst()), environment: ["LVM_SUPPRESS_FD_WARNINGS": "1", "HOME": "/root"])
    guard outcome.succeeded else {
      throw TestBedFailure("\(words.joined(separator: " ")): \(outcome.standardError)\(outcome.standardOutput)")
    }
    return outcome.standardOutput
  }
}
