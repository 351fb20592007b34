/// The product's agent on a free port of this machine.
public struct AgentDaemon: Sendable {
  public let daemon: Daemon
  public let name: String
  public let url: String
  /// The folder of its directory backend, if it has one.
  public let volumes: String
  /// Its state directory.
  public let state: String

  /// One with the given tgtd and the given libvirtd.
  ///
  /// - Parameters:
  ///   - backends: As its configuration file lists them; a directory if there are none.
  ///   - extra: Lines that are added to its configuration file.
  public init(
    _ name: String = "node1", coordinator: CoordinatorDaemon, target: TargetDaemon, libvirt: LibvirtDaemon, in bed: Bed,
    backends: String? = nil, extra: String = ""
  ) throws {
    let directory = """
      - name: directory
        kind: directory
        path: \(bed.folder.file("\(name)/volumes"))
      """
    let lines = (backends ?? directory).split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
    try self.init(
      name, coordinator: coordinator, on: .loopback, in: bed,
      drivers: """
        backends:
        \(lines)
        exporter:
          kind: tgt
          ipc_socket: \(target.ipcSocket)
          portals: ["\(target.portal)"]
          start: false
        hypervisor:
          kind: libvirt
          uri: \(libvirt.uri)
        \(extra)
        """)
  }

  /// - Parameter drivers: The lines of its configuration file that say which backends, exporter and hypervisor it has.
  public init(
    _ name: String, coordinator: CoordinatorDaemon, on network: Network, in bed: Bed, reportInterval: Int = 1,
    drivers: String
  ) throws {
    let address = try network.freeAddress()
    self.name = name
    url = "http://\(address)"
    volumes = try bed.folder.folder("\(name)/volumes")
    state = try bed.folder.folder("\(name)/state")
    let configuration = try bed.folder.write(
      Self.configuration(
        name, address: address, coordinator: coordinator, state: state,
        reportInterval: reportInterval, drivers: drivers),
      to: "\(name).yaml")
    daemon = Daemon(
      "pumice-agent-\(name)",
      network.entering([try Binaries.path("pumice-agent"), "--config", configuration]), in: bed
    ) { network.answers(address) }
  }

  /// The text of an agent's configuration file.
  package static func configuration(
    _ name: String, address: String, coordinator: CoordinatorDaemon, state: String, reportInterval: Int = 1,
    drivers: String
  ) -> String {
    """
    name: \(name)
    listen: \(address)
    address: http://\(address)
    coordinator: \(coordinator.url)
    join_token_file: \(coordinator.joinTokenFile)
    token_file: \(coordinator.joinTokenFile)
    state_directory: \(state)
    availability_zone: nova
    report_interval: \(reportInterval)
    \(drivers)

    """
  }
}
