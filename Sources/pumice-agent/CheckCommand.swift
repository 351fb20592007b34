import ArgumentParser
import Foundation
import PumiceAgent
import PumiceWire

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Say what this node can do as it is configured, and what is missing.",
    discussion: "Changes nothing. Exits with 1 if a part is missing without which the configured work can't be done.")

  @OptionGroup var options: Options

  @Flag(help: "Print JSON.")
  var json = false

  func run() async throws {
    let lines = await AgentCheck(try options.configuration()).lines()
    if json {
      print(String(decoding: try WireJSON.text(lines), as: UTF8.self), terminator: "")
    } else {
      let width = lines.map(\.part.count).max() ?? 0
      for line in lines {
        let word = line.isOK ? "ok     " : "missing"
        print("\(word)  \(line.part.padding(toLength: width, withPad: " ", startingAt: 0))  \(line.detail)")
        if let remedy = line.remedy { print("         \(String(repeating: " ", count: width))  → \(remedy)") }
      }
    }
    if lines.contains(where: { !$0.isOK && $0.isRequired }) { throw ExitCode.failure }
  }
}
