import Foundation

/// Measures what the project promises and prints a table. Ratios are taken within one run; the machine is noisy.
///
/// `pumice-bench lab` measures in nodes of the lab instead; `pumice-bench node …` is what it runs there. `pumice-bench serve
/// PORT FILE` is the constant route that listings are compared with.
@main struct Benchmark {
  static func main() async throws {
    let arguments = CommandLine.arguments
    if arguments.count == 4, arguments[1] == "serve", let port = Int(arguments[2]) {
      return try await ConstantRoute.serve(port: port, file: arguments[3])
    }
    if arguments.count > 2, arguments[1] == "node" { return try await NodeBenchmark.run(Array(arguments.dropFirst(2))) }
    let isLab = arguments.dropFirst().first == "lab"
    var report = Report()
    let chosen = Set(arguments.dropFirst(isLab ? 2 : 1))
    for (name, measure) in isLab ? labSections : sections where chosen.isEmpty || chosen.contains(name) {
      do { try await measure(&report) } catch { report.fail(name, "\(error)") }
    }
    report.print()
    exit(report.isComplete ? 0 : 1)
  }

  private static let sections: [(String, @Sendable (inout Report) async throws -> Void)] = [
    ("placement", PlacementBenchmark.run), ("listing", ListingBenchmark.run), ("token", TokenBenchmark.run),
    ("pages", PagesBenchmark.run),
    ("creation", CreationBenchmark.run),
    ("memory", MemoryBenchmark.run), ("attach", AttachBenchmark.run), ("share", ShareBenchmark.run),
    ("share-attach", ShareAttachBenchmark.run),
  ]
  private static let labSections: [(String, @Sendable (inout Report) async throws -> Void)] = [
    ("fleet", LabBenchmark.fleet), ("drivers", LabBenchmark.drivers),
  ]
}

/// The table: what was measured, what came out, what was promised.
struct Report {
  private var rows: [[String]] = []
  private(set) var isComplete = true

  mutating func add(_ what: String, _ value: String, promise: String, holds: Bool) {
    rows.append([what, value, promise, holds ? "yes" : "NO"])
    FileHandle.standardError.write(Data("\(what): \(value)\n".utf8))
  }

  mutating func note(_ what: String, _ value: String) { rows.append([what, value, "", ""]) }

  mutating func fail(_ what: String, _ reason: String) {
    rows.append([what, "not measured: \(reason)", "", "NO"])
    isComplete = false
  }

  func print() {
    let table = [["what", "measured", "promised", "holds"]] + rows
    let widths = (0..<4).map { column in table.map { $0[column].count }.max() ?? 0 }
    for row in table {
      let cells = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
      Swift.print(cells.joined(separator: "  "))
    }
  }
}

extension Array where Element: Comparable {
  /// The value that this part of the elements does not exceed; 0.5 is the median.
  func percentile(_ part: Double) -> Element {
    precondition(!isEmpty, "A percentile of nothing.")
    return sorted()[Swift.min(count - 1, Int(Double(count) * part))]
  }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
  var milliseconds: Double { seconds * 1000 }
}

func format(_ value: Double, _ digits: Int = 1) -> String { String(format: "%.\(digits)f", value) }
