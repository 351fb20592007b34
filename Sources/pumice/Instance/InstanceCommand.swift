import ArgumentParser

struct InstanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "instance", abstract: "The libvirt domains that volumes can be attached to.",
    subcommands: [InstanceList.self])
}
