import Logging
import PumiceModel
import Testing

@testable import PumiceAgent

@Suite struct AgentConfigurationTests {
  private static let minimal = "token_file: /etc/pumice/token\nname: n1\n"

  private func field(_ yaml: String, environment: [String: String] = [:]) -> String? {
    do throws(StorageError) {
      _ = try AgentConfiguration.read(yaml: Self.minimal + yaml, environment: environment)
      return nil
    } catch {
      return error.message.hasPrefix(error.field ?? "?")
        ? error.field : "\(error.field ?? "none"), not in: \(error.message)"
    }
  }

  @Test func defaultsAreThoseOfTheDocumentation() throws {
    let configuration = try AgentConfiguration.read(yaml: Self.minimal)
    #expect(configuration.listen.description == "127.0.0.1:9776")
    #expect(configuration.address == "http://127.0.0.1:9776")
    #expect(configuration.stateDirectory == "/var/lib/pumice/agent")
    #expect(configuration.availabilityZone == "nova")
    #expect(configuration.reportInterval == .seconds(10))
    #expect(configuration.exporter.kind == .none)
    #expect(configuration.hypervisor.kind == .none)
  }

  @Test func everythingIsRead() throws {
    let configuration = try AgentConfiguration.read(
      yaml: """
        name: n7
        listen: "[::1]:1234"
        address: https://n7.example:1234/
        coordinator: http://10.0.0.1:8776
        join_token_file: /t/join
        state_directory: /state
        availability_zone: west
        report_interval: 2.5
        log_level: debug
        initiator_name: iqn.2020-01.example:n7
        backends:
          - {name: big, kind: directory, path: /srv/big, provisioning: thick, reserved_percentage: 7, capabilities: {ssd: "True"}}
          - {name: toy, kind: memory, pools: {a: 10}}
        exporter: {kind: tgt, ipc_socket: /run/x.7, portals: ["10.0.0.7:3260", "[fe80::1]:3260"], start: false, target_prefix: iqn.a:b}
        hypervisor: {kind: libvirt, uri: "qemu:///session"}
        tls: {certificate: /c.pem, key: /k.pem, ca: /ca.pem}
        """)
    #expect(configuration.listen == .init(host: "::1", port: 1234))
    #expect(configuration.tokenFile == "/t/join")
    #expect(configuration.reportInterval == .milliseconds(2500))
    #expect(configuration.backends.map(\.name) == ["big", "toy"])
    #expect(
      configuration.backends.first
        == .directory(
          DirectoryBackendConfiguration(
            name: "big", path: "/srv/big", provisioning: .thick, reservedPercentage: 7, capabilities: ["ssd": ["True"]])
        ))
    #expect(
      configuration.exporter
        == .init(
          kind: .tgt, socketPath: "/run/x.7", portals: ["10.0.0.7:3260", "[fe80::1]:3260"], startsDaemon: false,
          targetPrefix: "iqn.a:b"))
    #expect(configuration.hypervisor == .init(kind: .libvirt, uri: "qemu:///session"))
    #expect(configuration.tls == .init(certificate: "/c.pem", key: "/k.pem", authority: "/ca.pem"))
  }

  @Test func theEnvironmentIsOverTheFileAndFlagsAreOverBoth() throws {
    let yaml = "token_file: /f\nname: file\navailability_zone: file\nlog_level: error\nexporter: {kind: none}\n"
    let configuration = try AgentConfiguration.read(
      yaml: yaml,
      environment: [
        "PUMICE_AGENT_NAME": "environment", "PUMICE_AGENT_AVAILABILITY_ZONE": "environment",
        "PUMICE_AGENT_EXPORTER_KIND": "memory", "PUMICE_AGENT_EXPORTER_PORTALS": "a:1,b:2",
      ],
      flags: [.name: "flag"])
    #expect(configuration.name == "flag")
    #expect(configuration.availabilityZone == "environment")
    #expect(configuration.exporter.kind == .memory)
    #expect(configuration.exporter.portals == ["a:1", "b:2"])
    #expect(configuration.logLevel == .error)
  }

  @Test(arguments: [
    ("nmae: x", "nmae"), ("exporter: {portal: x}", "exporter.portal"), ("hypervisor: {url: x}", "hypervisor.url"),
    ("backends: [{name: a, kind: directory, path: /x, pth: /y}]", "backends[0].pth"),
    ("backends: [{name: a, kind: memory, path: /x}]", "backends[0].path"),
  ])
  func unknownKeysAreNamed(yaml: String, key: String) {
    #expect(field(yaml) == key)
  }

  @Test(arguments: [
    ("listen: 9776", "listen"), ("listen: [a]", "listen"), ("listen: host:70000", "listen"),
    ("report_interval: soon", "report_interval"), ("report_interval: 0", "report_interval"),
    ("log_level: loud", "log_level"), ("state_directory: var", "state_directory"),
    ("coordinator: 10.0.0.1", "coordinator"), ("availability_zone: {a: b}", "availability_zone"),
    ("exporter: tgt", "exporter"), ("exporter: {kind: iet}", "exporter.kind"),
    ("exporter: {kind: lio, portals: [\"storage-1:3260\"]}", "exporter.portals"),
    ("exporter: {kind: lio, portals: [\"0.0.0.0:3260\"]}", "exporter.portals"),
    ("exporter: {start: maybe}", "exporter.start"), ("exporter: {portals: a:1}", "exporter.portals"),
    ("exporter: {portals: [a]}", "exporter.portals"), ("exporter: {ipc_socket: /run/x}", "exporter.ipc_socket"),
    ("hypervisor: {kind: xen}", "hypervisor.kind"), ("initiator_name: a b", "initiator_name"),
    ("tls: {certificate: /c}", "tls.key"), ("listen: 0.0.0.0:9776", "address"),
    ("coordinator: http://c:1", "join_token_file"), ("backends: {}", "backends"), ("backends: [a]", "backends[0]"),
    ("backends: [{name: a, kind: tape}]", "backends[0].kind"),
    ("backends: [{name: a, kind: directory}]", "backends[0].path"),
    ("backends: [{name: a, kind: directory, path: /x, reserved_percentage: many}]", "backends[0].reserved_percentage"),
    ("backends: [{name: a, kind: memory, reserved_percentage: 100}]", "backends[0].reserved_percentage"),
    ("backends: [{name: a, kind: directory, path: x}]", "backends[0].path"),
    ("backends: [{name: a#b, kind: memory}]", "backends[0].name"),
    ("backends: [{name: a, kind: memory}, {name: a, kind: memory}]", "backends[1].name"),
  ])
  func wrongTypesAndValuesAreNamed(yaml: String, key: String) {
    #expect(field(yaml) == key)
  }

  @Test func anUnknownVariableIsNamed() {
    #expect(field("", environment: ["PUMICE_AGENT_NMAE": "x"]) == "PUMICE_AGENT_NMAE")
    #expect(field("", environment: ["PUMICE_AGENT_CONFIG": "x", "HOME": "/"]) == nil)
  }

  @Test func withoutATokenNothingIsServed() {
    let error = #expect(throws: StorageError.self) { try AgentConfiguration.read(yaml: "name: n1") }
    #expect(error?.field == "token_file")
  }

  @Test func brokenYAMLIsAnError() {
    #expect(throws: StorageError.self) { try AgentConfiguration.read(yaml: "name: [") }
    #expect(throws: StorageError.self) { try AgentConfiguration.read(yaml: "- a") }
    #expect(throws: StorageError.self) { try AgentConfiguration.read(yaml: "name: a\nname: b\ntoken_file: /t") }
  }

  @Test func theExporterFollowsFromTheBackends() throws {
    let memory = try AgentConfiguration.read(yaml: Self.minimal + "backends: [{name: a, kind: memory}]")
    #expect(memory.exporter.kind == .memory)
    let folder = try AgentConfiguration.read(yaml: Self.minimal + "backends: [{name: a, kind: directory, path: /x}]")
    #expect(folder.exporter.kind == .tgt)
  }

  @Test func initiatorNamesAreMadeOfNodeNames() {
    #expect(AgentConfiguration.initiatorName(for: "Node_7.example") == "iqn.2026-11.io.pumice:node-node-7.example")
  }

  @Test(arguments: [
    ("kind: libvirt", AgentConfiguration.Hypervisor.Connector.qemu),
    ("kind: libvirt, connector: iscsi-kernel", .kernel), ("kind: host", .kernel),
    ("kind: host, connector: iscsi-kernel", .kernel),
  ])
  func theConnectorGoesWithTheHypervisor(
    _ hypervisor: String, _ connector: AgentConfiguration.Hypervisor.Connector
  ) throws {
    let configuration = try AgentConfiguration.read(yaml: "token_file: /f\nhypervisor: {\(hypervisor)}\n")
    #expect(configuration.hypervisor.connector == connector)
  }

  @Test func aHostHasNoQEMUToLogInWith() {
    let error = #expect(throws: StorageError.self) {
      try AgentConfiguration.read(yaml: "token_file: /f\nhypervisor: {kind: host, connector: iscsi-qemu}\n")
    }
    #expect(error?.field == "hypervisor.connector")
  }
}
