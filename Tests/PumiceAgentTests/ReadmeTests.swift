import Foundation
import TestBed
import Testing

@testable import PumiceAgent

struct ReadmeTests {
  /// The second of the five commands writes the agent's configuration.
  @Test func theConfigurationOfTheStorageNodeIsOne() async throws {
    let commands = try #require(
      try Readme(section: "A storage node from an empty disk in five commands").blocks.dropFirst().first)
    #expect(commands.count == 5)
    let command = try #require(commands.first { $0.contains("/etc/pumice/agent.yaml") })
    let yaml = try await Bed.with { bed in
      try await bed.run(
        ["sh", "-c", command.replacingOccurrences(of: ">/etc/pumice/agent.yaml", with: "")],
        environment: ["PUMICE_URL": "http://10.0.0.1:8776", "ADDRESS": "10.0.0.7"])
    }

    let configuration = try AgentConfiguration.read(yaml: yaml)

    #expect(configuration.backends == [.lvm(LVMBackendConfiguration(name: "lvm", volumeGroup: "pumice"))])
    #expect(configuration.exporter.kind == .lio)
    #expect(configuration.exporter.portals == ["10.0.0.7:3260"])
    #expect(configuration.coordinator == "http://10.0.0.1:8776")
    #expect(configuration.address == "http://10.0.0.7:9776")
  }

  /// The first of the five commands does.
  @Test func theConfigurationOfTheSharesNodeIsOne() async throws {
    let commands = try #require(
      try Readme(section: "From a filer's export to a disk in a VM in five commands").blocks.dropFirst().first)
    #expect(commands.count == 5)
    let command = try #require(commands.first { $0.contains(">/etc/pumice/agent.yaml") })
    let yaml = try await Bed.with { bed in
      try await bed.run(
        ["sh", "-c", command.replacingOccurrences(of: ">/etc/pumice/agent.yaml", with: "")],
        environment: ["PUMICE_URL": "http://10.0.0.1:8776", "ADDRESS": "10.0.0.7", "SHARE": "filer:/export/vms"])
    }

    let configuration = try AgentConfiguration.read(yaml: yaml)

    #expect(
      configuration.backends == [.nfs(NFSBackendConfiguration(name: "filer", shares: [.init("filer:/export/vms")]))])
    #expect(configuration.exporter.kind == .none)
    #expect(configuration.hypervisor.kind == .libvirt)
    #expect(configuration.hypervisor.nfsConnector == .auto)
    #expect(configuration.nfsMountBase == "/var/lib/pumice/mnt")
  }
}
