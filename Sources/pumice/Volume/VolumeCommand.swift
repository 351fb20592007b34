import ArgumentParser

struct VolumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume", abstract: "Create, list, show, extend, revert and delete volumes.",
    subcommands: [
      VolumeCreate.self, VolumeList.self, VolumeShow.self, VolumeExtend.self, VolumeRevert.self, VolumeDelete.self,
    ])
}
