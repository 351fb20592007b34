import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// What README.md promises about a storage node.
  @Suite(.timeLimit(.minutes(10))) struct FiveCommands {
    @Test func anEmptyDiskBecomesADiskInAGuest() async throws {
      let blocks = try Readme(section: "A storage node from an empty disk in five commands").blocks
      let commands = try #require(blocks.dropFirst().first)
      #expect(commands.count == 5)
      try await Bed.with { bed in
        // Only its disk is used: nothing on the storage node is prepared.
        let fleet = try await LabFleet(
          storage: LabStorage("an empty disk", disks: [4096], preparation: "", leftovers: "") { _ in "" }, in: bed)
        async let storage: Void = fleet.storage.node.start()
        async let libvirt: Void = fleet.libvirt.start()
        async let coordinator: Void = fleet.coordinator.daemon.start()
        _ = try await (storage, libvirt, coordinator)
        try await fleet.computeAgent.daemon.start()
        try await fleet.guest.start()
        try await fleet.api.waitForInstance(fleet.guest.id)
        let node = fleet.storage.node
        let programs = try Binaries.path("pumice")
        try await node.run(
          """
          install -d -m 700 /etc/pumice
          install -m 600 '\(fleet.coordinator.joinTokenFile)' /etc/pumice/join-token
          """)

        // One after the other in one shell, as at a terminal.
        let said = try await node.run(
          """
          export PATH="$PATH:$(dirname '\(programs)')" PUMICE_PROJECT='\(fleet.api.project)'
          DISK=/dev/ubdb ADDRESS=\(node.address) INSTANCE=\(fleet.guest.id)
          export PUMICE_URL='\(fleet.coordinator.url)'
          set -e
          \(commands.joined(separator: "\n"))
          """, within: .seconds(300))

        let volumes = try await fleet.api.get("/v3/\(fleet.api.project)/volumes/detail")["volumes"].array
        let volume = try #require(volumes.first, "\(said)")
        let id = try #require(volume["id"].string.flatMap { VolumeID($0) })
        #expect(volume["status"].string == "in-use")
        let disk = try await fleet.guest.waitForDisk(of: id, size: .gibibytes(1))
        let written = try await fleet.guest.writeRandom(.mebibytes(16), to: disk)
        #expect(try await fleet.guest.sha256(of: disk, count: .mebibytes(16)) == written)
        #expect(try await node.run("lvs --noheadings -o pool_lv pumice/volume-\(id)").contains("pumice-pool"))
      }
    }
  }
}
