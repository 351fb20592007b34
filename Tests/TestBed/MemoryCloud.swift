/// A coordinator, and an agent whose drivers are in memory: for what is about the coordinator alone.
public struct MemoryCloud: Sendable {
  public let coordinator: CoordinatorDaemon
  public let agent: Daemon

  /// - Parameters:
  ///   - authentication: The coordinator's, as its configuration file has it.
  ///   - extra: Lines that are added to that file.
  public init(in bed: Bed, authentication: String = "auth: none", extra: String = "log_level: warning") throws {
    coordinator = try CoordinatorDaemon(in: bed, authentication: authentication, extra: extra)
    let address = "127.0.0.1:\(try freePort())"
    let configuration = try bed.folder.write(
      """
      name: memory1
      listen: \(address)
      coordinator: \(coordinator.url)
      join_token_file: \(coordinator.joinTokenFile)
      state_directory: \(try bed.folder.folder("memory1"))
      report_interval: 1
      log_level: warning
      backends:
        - name: memory
          kind: memory
          pools: {memory: 1000000}
      exporter: {kind: memory}
      hypervisor: {kind: memory}

      """, to: "memory1.yaml")
    agent = Daemon("pumice-agent-memory1", [try Binaries.path("pumice-agent"), "--config", configuration], in: bed) {
      answers(address)
    }
  }

  public func startDaemons() async throws {
    try await coordinator.daemon.start()
    try await agent.start()
  }
}
