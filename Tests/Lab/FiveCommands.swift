import LabBed
import PumiceModel
import TestBed
import Testing

extension LabTests {
  /// What README.md promises about storage nodes and filers.
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

        let said = try await run(
          commands, on: node, with: ["DISK": "/dev/ubdb", "INSTANCE": "\(fleet.guest.id)"], fleet.coordinator, fleet.api
        )

        let (id, disk) = try await volume(for: fleet.guest, fleet.api, said)
        let written = try await fleet.guest.writeRandom(.mebibytes(16), to: disk)
        #expect(try await fleet.guest.sha256(of: disk, count: .mebibytes(16)) == written)
        #expect(try await node.run("lvs --noheadings -o pool_lv pumice/volume-\(id)").contains("pumice-pool"))
      }
    }

    /// The filer's kernel exports, and the host's kernel mounts.
    @Test func anExportBecomesADiskInAGuest() async throws {
      let blocks = try Readme(section: "From a filer's export to a disk in a VM in five commands").blocks
      let commands = try #require(blocks.dropFirst().first)
      #expect(commands.count == 5)
      try await Bed.with { bed in
        let fleet = try await FilerFleet(in: bed)
        try await fleet.telling {
          try await fleet.startWithoutAgent()

          let said = try await run(
            commands, on: fleet.host, with: ["SHARE": fleet.share, "INSTANCE": "\(fleet.guest.id)"], fleet.coordinator,
            fleet.api)

          let (id, disk) = try await volume(for: fleet.guest, fleet.api, said)
          let written = try await fleet.guest.writeRandom(.mebibytes(16), to: disk)
          #expect(try await fleet.guest.sha256(of: disk, count: .mebibytes(16)) == written)
          let image = "\(FilerFleet.folder)/volume-\(id)"
          #expect(try await fleet.filer.run("head -c \(16 << 20) \(image) | sha256sum").hasPrefix(written))
          // By the way that it takes unless it is told another.
          #expect(try await fleet.guest.xml().contains("file='/var/lib/pumice/mnt/"))
        }
      }
    }

    /// One after the other in one shell, as at a terminal. Returns what they said.
    private func run(
      _ commands: [String], on node: LabNode, with variables: [String: String], _ coordinator: CoordinatorDaemon,
      _ api: API
    ) async throws -> String {
      let programs = try Binaries.path("pumice")
      try await node.run(
        """
        install -d -m 700 /etc/pumice
        install -m 600 '\(coordinator.joinTokenFile)' /etc/pumice/join-token
        """)
      return try await node.run(
        """
        export PATH="$PATH:$(dirname '\(programs)')" PUMICE_PROJECT='\(api.project)'
        \(variables.map { "\($0)='\($1)'" }.joined(separator: " ")) ADDRESS=\(node.address)
        export PUMICE_URL='\(coordinator.url)'
        set -e
        \(commands.joined(separator: "\n"))
        """, within: .seconds(300))
    }

    /// The only volume there is, which the guest has.
    private func volume(
      for guest: Guest, _ api: API, _ said: String
    ) async throws -> (VolumeID, Guest.Disk) {
      let volumes = try await api.get("/v3/\(api.project)/volumes/detail")["volumes"].array
      let volume = try #require(volumes.first, "\(said)")
      #expect(volumes.count == 1)
      let id = try #require(volume["id"].string.flatMap { VolumeID($0) })
      #expect(volume["status"].string == "in-use")
      return (id, try await guest.waitForDisk(of: id, size: .gibibytes(1)))
    }
  }
}
