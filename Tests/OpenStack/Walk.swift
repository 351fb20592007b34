import Foundation
import TestBed
import Testing

/// A command of a client, and what must come of it.
struct Step: Sendable {
  enum Outcome: Sendable {
    /// It succeeds, and what it prints by name has these values.
    case shows([String: JSON])
    /// The same, after a while.
    case comesTo([String: JSON])
    /// It succeeds, and prints all of these texts.
    case prints([String])
    /// It fails, and says one of these texts.
    case fails([String])
  }

  let words: [String]
  let outcome: Outcome

  private init(_ command: String, _ outcome: Outcome) {
    self.init(command.split(separator: " ").map(String.init), outcome)
  }

  private init(_ words: [String], _ outcome: Outcome) {
    self.words = words
    self.outcome = outcome
  }

  /// Of a command with a space in one of its words.
  static func run(words: [String]) -> Step { Step(words, .prints([])) }
  static func run(_ command: String, printing texts: String...) -> Step { Step(command, .prints(texts)) }
  static func run(_ command: String, shows values: [String: JSON]) -> Step { Step(command, .shows(values)) }
  static func wait(_ command: String, for values: [String: JSON]) -> Step { Step(command, .comesTo(values)) }
  static func fail(_ command: String, saying texts: String...) -> Step { Step(command, .fails(texts)) }
}

/// Runs steps with one of the clients, in one process, and holds each to its outcome.
struct Walk {
  enum Client: String, CustomTestStringConvertible {
    case openstack, cinder
    var testDescription: String { rawValue }

    /// What makes it print names and values as JSON, where it can.
    var format: [String] { self == .openstack ? ["-f", "json"] : [] }
  }

  private struct Order: Encodable {
    let command: [String]
    let until: [String: JSON]?
  }

  private struct Result: Decodable {
    let status: Int
    let output: String
    let errors: String
    let values: JSON
  }

  let bed: Bed
  let client: Client
  /// The variables by which the client finds the cloud.
  let environment: [String: String]

  /// Gives what each step printed by name; `null` for one that printed something else.
  @discardableResult
  func take(_ steps: [Step], sourceLocation: SourceLocation = #_sourceLocation) async throws -> [JSON] {
    let folder = try await Clients.folder(in: bed)
    let name = "walk-\(UInt32.random(in: .min ... .max))"
    let orders = steps.map { step in
      switch step.outcome {
      case .comesTo(let values): Order(command: step.words + client.format, until: values)
      case .shows: Order(command: step.words + client.format, until: nil)
      case .prints, .fails: Order(command: step.words, until: nil)
      }
    }
    let file = try bed.folder.write(
      String(decoding: try JSONEncoder().encode(orders), as: UTF8.self), to: "\(name).json")
    let answers = bed.folder.file("\(name)-results.json")
    try await bed.run(
      ["\(folder)/bin/python", "\(Clients.scripts)/walk.py", client.rawValue, file, answers], environment: environment,
      within: .seconds(300))
    let results = try JSONDecoder().decode([Result].self, from: Data(contentsOf: URL(filePath: answers)))
    for (step, result) in zip(steps, results) {
      guard let difference = Self.difference(of: result, from: step.outcome) else { continue }
      Issue.record(
        "\(client) \(step.words.joined(separator: " ")): \(difference)\n\(result.output)\n\(result.errors)",
        sourceLocation: sourceLocation)
    }
    #expect(results.count == steps.count)
    return results.map(\.values)
  }

  private static func difference(of result: Result, from outcome: Step.Outcome) -> String? {
    if case .fails(let texts) = outcome {
      if result.status == 0 { return "it should have failed" }
      let said = result.output + result.errors
      return texts.contains { said.contains($0) } ? nil : "it should have said: \(texts.joined(separator: ", or "))"
    }
    if result.status != 0 { return "it ended with status \(result.status)" }
    switch outcome {
    case .prints(let texts):
      return texts.first { !result.output.contains($0) }.map { "it should have printed: \($0)" }
    case .shows(let values), .comesTo(let values):
      return values.first { result.values[$0.key] != $0.value }.map {
        "\($0.key) is \(result.values[$0.key]) and not \($0.value)"
      }
    case .fails: return nil
    }
  }
}
