import ArgumentParser

struct PoolCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pool", abstract: "What the scheduler picks from: node@backend#pool.", subcommands: [PoolList.self])
}
