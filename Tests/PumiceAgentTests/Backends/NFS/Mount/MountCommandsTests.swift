import Testing

@testable import PumiceAgent

struct MountCommandsTests {
  @Test func onlyWhoHasAViewOfItsOwnGoesOverToTheHosts() {
    #expect(MountCommands.prefix(own: "mnt:[1]", host: "mnt:[1]").isEmpty)
    #expect(MountCommands.prefix(own: "mnt:[1]", host: nil).isEmpty)
    #expect(MountCommands.prefix(own: "mnt:[2]", host: "mnt:[1]").first == "nsenter")
  }
}
