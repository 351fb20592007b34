/// The product's agent on a free loopback port: a directory backend, the given tgtd and the given libvirtd.
public struct AgentDaemon: Sendable {
  public let daemon: Daemon
  public let name: String
  public let url: String
  /// The folder of its directory backend.
  public let volumes: String

  /// - Parameter extra: Lines that are added to its configuration file.
  public init(
    _ name: String = "node1", coordinator: CoordinatorDaemon, target: TargetDaemon, libvirt: LibvirtDaemon, in bed: Bed,
    extra: String = ""
  ) throws {
    let address = "127.0.0.1:\(try freePort())"
    self.name = name
    url = "http://\(address)"
    volumes = try bed.folder.folder("\(name)/volumes")
    let state = try bed.folder.folder("\(name)/state")
    let configuration = try bed.folder.write(
      """
      name: \(name)
      listen: \(address)
      address: \(url)
      coordinator: \(coordinator.url)
      join_token_file: \(coordinator.joinTokenFile)
      token_file: \(coordinator.joinTokenFile)
      state_directory: \(state)
      availability_zone: nova
      report_interval: 1
      backends:
        - name: directory
          kind: directory
          path: \(volumes)
      exporter:
        kind: tgt
        ipc_socket: \(target.ipcSocket)
        portals: ["\(target.portal)"]
        start: false
      hypervisor:
        kind: libvirt
        uri: \(libvirt.uri)
      \(extra)

      """, to: "\(name).yaml")
    daemon = Daemon(
      "pumice-agent-\(name)", [try Binaries.path("pumice-agent"), "--config", configuration], in: bed
    ) { answers(address) }
  }
}
