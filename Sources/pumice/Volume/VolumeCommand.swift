import ArgumentParser

struct VolumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume", abstract: "Create, list, show, extend and delete volumes.",
    subcommands: [
      VolumeCreate.self, VolumeList.self, VolumeShow.self, VolumeExtend.self, VolumeDelete.self,
    ])
}
