import Foundation
import LabBed
import TestBed
import Testing

extension LabTests {
  /// The suites of LabNodeTests, each in a node of its own, run there by this very program.
  @Suite(.timeLimit(.minutes(15))) struct InnerSuites {
    /// A file per suite, and the suite has the file's name. Those of LVM take many minutes: `make lab` runs them with
    /// `PUMICE_LAB=all`.
    static let names: [String] = {
      let folder = (#filePath as NSString).deletingLastPathComponent + "/../LabNode"
      let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return files.filter { $0.hasSuffix("Tests.swift") && (LabTests.isWhole || !$0.hasPrefix("LVM")) }.map {
        String($0.dropLast(".swift".count))
      }.sorted()
    }()

    @Test func thereAreSome() { #expect(!Self.names.isEmpty) }

    @Test(arguments: names) func passesInANode(_ suite: String) async throws {
      try await Lab.with { lab in
        let node = try lab.node("inner", number: 11, disks: [4096, 4096, 4096], memory: 768)
        try await node.start()
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")

        let (status, output) = try await node.answer(
          to: "'\(program)' --testing-library swift-testing --no-parallel --filter 'LabNodeTests\\.\(suite)(/|$)' 2>&1",
          within: .seconds(600))

        let count = output.firstMatch(of: /Test run with (\d+) tests?/).flatMap { Int($0.1) } ?? 0
        guard status == 0, count > 0 else {
          Issue.record("\(suite) ended with status \(status) after \(count) tests:\n\(output)\n\(await node.report())")
          return
        }
      }
    }
  }
}
