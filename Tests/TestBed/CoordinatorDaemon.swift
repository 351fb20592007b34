/// The product's coordinator on a free port, with its store in the bed.
public struct CoordinatorDaemon: Sendable {
  public let daemon: Daemon
  /// Where the agents reach it.
  public let url: String
  public let address: String
  public let database: String
  /// The file with the token that agents join with.
  public let joinTokenFile: String

  /// - Parameters:
  ///   - authentication: The lines of its configuration file that say how callers are known.
  ///   - reportInterval: How often the agents report, in seconds.
  ///   - extra: Lines that are added to its configuration file.
  public init(
    in bed: Bed, on network: Network = .loopback, authentication: String = "auth: none", reportInterval: Int = 1,
    extra: String = ""
  ) throws {
    let address = try network.freeAddress()
    self.address = address
    url = "http://\(address)"
    database = try bed.folder.folder("coordinator") + "/pumice.sqlite"
    var token = ""
    for _ in 0..<4 { token += String(UInt64.random(in: 0...UInt64.max), radix: 36) }
    joinTokenFile = try bed.folder.write(token + "\n", to: "join-token")
    let configuration = try bed.folder.write(
      """
      listen: \(address)
      database: \(database)
      join_token_file: \(joinTokenFile)
      \(authentication)
      report_interval: \(reportInterval)
      \(extra)

      """, to: "coordinator.yaml")
    daemon = Daemon(
      "pumice-coordinator",
      network.entering([try Binaries.path("pumice-coordinator"), "--config", configuration]), in: bed
    ) { network.answers(address) }
  }

  public func api(project: String = "demo") -> API { API(url: url, project: project) }
}
