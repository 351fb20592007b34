import Foundation
import LabBed
import TestBed
import Testing

extension LabTests {
  /// The suites of LabNodeTests, each in a node of its own, run there by this very program.
  struct InnerSuites {
    /// A file per suite, and the suite has the file's name. `make lab` alone runs those that take minutes of waiting for the
    /// kernel: disks fail, groups run full, and whole thick volumes are copied.
    static let names: [String] = {
      let slow = ["LVMFailing", "LVMFull", "LVMThickCopies", "LVMThickReverts"]
      let folder = (#filePath as NSString).deletingLastPathComponent + "/../LabNode"
      let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      return files.filter { file in
        file.hasSuffix("Tests.swift") && (LabTests.isWhole || !slow.contains { file.hasPrefix($0) })
      }.map { String($0.dropLast(".swift".count)) }.sorted()
    }()

    /// Two at a time: a node has one processor. Those of LVM begin, since they take longest.
    @Test(.timeLimit(.minutes(30))) func passInNodes() async throws {
      #expect(!Self.names.isEmpty)
      let names = Self.names.filter { $0.hasPrefix("LVM") } + Self.names.filter { !$0.hasPrefix("LVM") }
      try await Lab.with { lab in
        await withTaskGroup(of: Void.self) { group in
          for (number, name) in names.enumerated() {
            if number > 1 { await group.next() }
            group.addTask {
              do {
                let node = try lab.node("inner\(number)", number: 11 + number, disks: [4096, 4096, 4096], memory: 768)
                try await Self.run(name, in: node)
              } catch {
                Issue.record("\(name): \(error)")
              }
            }
          }
          await group.waitForAll()
        }
      }
    }

    private static func run(_ suite: String, in node: LabNode) async throws {
      try await node.start()
      let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      let (status, output) = try await node.answer(
        to: "'\(program)' --testing-library swift-testing --no-parallel --filter 'LabNodeTests\\.\(suite)(/|$)' 2>&1",
        within: .seconds(1500))
      let summary = output.firstMatch(of: /Test run with (\d+) tests?.*/)
      let count = summary.flatMap { Int($0.1) } ?? 0
      if status == 0, count > 0 {
        print("\(suite), in a node: \(summary?.0 ?? "")")
      } else {
        Issue.record("\(suite) ended with status \(status) after \(count) tests:\n\(output)\n\(await node.report())")
      }
      try await node.powerCut()
    }
  }
}
