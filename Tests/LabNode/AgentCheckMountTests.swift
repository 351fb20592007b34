import PumiceModel
import Testing

@testable import PumiceAgent

/// What an operator is told about shares that the kernel is to mount, each with something else the matter with it.
@Suite(.serialized) struct AgentCheckMountTests {
  @Test(.timeLimit(.minutes(2))) func aShareThatWorksIsLeftAsItWas() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let path = try await server.makeFolder("good")
      try await server.export([(path, "rw,no_root_squash,fsid=1")])
      let share = NFSBackendConfiguration.Share("\(server.address):\(path)", options: "soft,noexec")
      let lines = try await lines(for: share)
      #expect(lines.map(\.isOK) == [true, false] && lines[0].detail.contains(" free; user 0 can write to it"))
      #expect(!lines[1].isRequired && lines[1].remedy == "Take soft out of its options.")
      #expect(try await server.inside("ls -A \(path)") == "")
      #expect(try await mounts(server) == [])

      // What was there before stays.
      let mount = ShareMounts(try configuration().shareMounts).share(try NFSShare(share.share))
      try await mount.ensureMounted(NFSMountOptions())
      #expect(try await self.lines(for: share)[0].isOK)
      #expect(try await mounts(server) == [mount.mountPoint])
      try await mount.unmount()
    }
  }

  @Test(.timeLimit(.minutes(3))) func everythingThatIsTheMatterHasItsRemedy() async throws {
    try await KernelNFSServer.modern.lend {
      let server = KernelNFSServer.modern
      let good = try await server.makeFolder("good")
      let foreign = try await server.makeFolder("foreign")
      let readOnly = try await server.makeFolder("read-only")
      let squashed = try await server.makeFolder("squashed")
      let everybodys = try await server.makeFolder("everybodys", mode: "0777")
      let full = try await server.makeFileSystem("ext4", mebibytes: 16)
      try await server.export([
        (good, "rw,no_root_squash,fsid=1"), (foreign, "rw,no_root_squash,fsid=2"),
        (readOnly, "ro,no_root_squash,fsid=3"), (squashed, "rw,root_squash,fsid=4"),
        (everybodys, "rw,no_root_squash,fsid=5"), (full, "rw,no_root_squash,fsid=6"),
      ])
      try await sh("printf '{\"node\":\"n2\",\"backend\":\"nfs\"}' >\(foreign)/\(ShareOwner.file)")
      _ = try? await server.inside("head -c 64M /dev/zero >\(full)/filler")

      try await expect("/srv/nothing", "no such folder", "showmount -e \(server.address)", server)
      try await expect(readOnly, "read-only", "Export it with rw", server)
      try await expect(squashed, "Permission denied", "anonuid", server)
      try await expect(everybodys, "chmod o-w", "set allow_everybody", server)
      try await expect(foreign, ShareOwner.file, "Give each backend a share of its own", server)
      try await expect(full, "space", "Make room on the server", server)
      try await expect(good, options: "nonsense", "mount options", "Correct options of the share", server)
      try await expect(good, options: "vers=4.7", "", "nfs(5)", server)
      try await expect("/srv/nothing", host: "no-such-host.invalid", "", "/etc/", server)
      #expect(try await mounts(server) == [])

      let point = try NFSShare("\(server.address):\(good)").mountPoint(in: try configuration().nfsMountBase)
      try await sh("mkdir -p \(point) && mount -t tmpfs tmpfs \(point)")
      try await expect(good, "tmpfs", "findmnt", server)
      try await sh("umount \(point)")

      try await server.stop()
      try await expect(good, server.address, "port 2049", server)
      try await server.start()
    }
  }

  @Test(.timeLimit(.minutes(2))) func aServerThatIsTooOldIsNamed() async throws {
    try await KernelNFSServer.old.lend {
      let server = KernelNFSServer.old
      let path = try await server.makeFileSystem("ext4", mebibytes: 32)
      try await server.export([(path, "rw,no_root_squash,fsid=1")])
      try await expect(path, options: "vers=4.2", "none of the versions", "Take the version out of options", server)
      try await expect(path, provisioning: .thick, "NFS 4.2", "Set provisioning of backend nfs to thin", server)
      #expect(try await lines(for: .init("\(server.address):\(path)")).map(\.isOK) == [true])
      let left = try await server.inside("ls -A \(path)")
      #expect(left == "")
    }
  }

  // MARK: Parts

  private func expect(
    _ path: String, host: String? = nil, options: String? = nil,
    provisioning: NFSBackendConfiguration.Provisioning = .thin, _ detail: String, _ remedy: String,
    _ server: KernelNFSServer, location: SourceLocation = #_sourceLocation
  ) async throws {
    let lines = try await lines(
      for: .init("\(host ?? server.address):\(path)", options: options), provisioning: provisioning)
    let line = try #require(lines.first)
    #expect(!line.isOK && line.isRequired, "\(line)", sourceLocation: location)
    #expect(detail.isEmpty || line.detail.contains(detail), "\(line)", sourceLocation: location)
    #expect(line.remedy?.contains(remedy) == true, "\(line)", sourceLocation: location)
  }

  private func lines(
    for share: NFSBackendConfiguration.Share, provisioning: NFSBackendConfiguration.Provisioning = .thin
  ) async throws -> [AgentCheck.Line] {
    await AgentCheck(try configuration()).lines(
      for: NFSBackendConfiguration(name: "nfs", shares: [share], access: .mount, provisioning: provisioning))
  }

  private func configuration() throws -> AgentConfiguration {
    try AgentConfiguration.read(
      yaml: """
        name: n1
        listen: 127.0.0.1:7780
        state_directory: /var/tmp/check/state
        token_file: /var/tmp/check/token
        nfs_mount_base: /var/tmp/check/mnt
        backends: [{name: mem, kind: memory}]
        hypervisor: {kind: memory}
        """)
  }

  private func mounts(_ server: KernelNFSServer) async throws -> [String] {
    try MountTable.current().entries.filter { $0.source.hasPrefix("\(server.address):") }.map(\.mountPoint)
  }
}
