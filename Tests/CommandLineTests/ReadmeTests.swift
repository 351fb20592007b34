import ArgumentParser
import TestBed
import Testing

@testable import pumice

struct ReadmeTests {
  /// The words behind `pumice` in every line of README.md that has it; quotes are not words' own.
  static let commandLines: [[String]] = {
    let lines = (try? Readme())?.blocks.flatMap(\.self) ?? []
    return lines.flatMap { $0.split(separator: "& ") }.filter { $0.hasPrefix("pumice ") }.map { line in
      line.split(separator: " ").dropFirst().map { $0.filter { $0 != "\"" } }
    }
  }()

  @Test(arguments: commandLines) func whatTheReadmeTellsPeopleToRunIsUnderstood(_ words: [String]) throws {
    #expect(throws: Never.self) { try Pumice.parseAsRoot(words) }
  }

  @Test func thereAreSuchLines() {
    #expect(Self.commandLines.count > 10)
    #expect(Self.commandLines.contains(["volume", "create", "db", "--size", "10", "--wait"]))
  }
}
