import Glibc
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOSSL
public import PumiceModel
public import PumiceWire
public import ServiceLifecycle
import UnixSignals

/// One node's agent, put together from its configuration: drivers, records, services and the node API.
public struct Agent: Service {
  public let node: NodeService
  private let services: [any Service]
  private let logger: Logger

  /// Opens everything; nothing runs yet. Throws when a folder, file or backend can't be used, saying what would help.
  ///
  /// - Parameter logLevel: What the whole process logs from on.
  public init(
    _ configuration: AgentConfiguration, logger: Logger, logLevel: LogLevel = LogLevel(.info)
  ) async throws(StorageError) {
    let token = try SecretFile.token(in: configuration.tokenFile, calledBy: "token_file")
    let state = try await BlockingCalls.run { () throws(StorageError) in
      try StateDirectory(path: configuration.stateDirectory)
    }
    let initiator = try await InitiatorName.settle(configuration, in: state)
    let drivers = try await Drivers(configuration, initiator: initiator, logger: logger)
    let quiescence = try await Self.quiescence(configuration, drivers.node.hypervisor, in: state, logger)
    let node = NodeService(
      configuration.identity, drivers: drivers.node,
      // What memory drivers hold is gone with the process, and so are the records of it.
      exports: configuration.exporter.kind == .memory
        ? InMemoryRecordStore() : try await FileRecordStore.open("\(state.path)/exports", logger: logger),
      connections: configuration.hypervisor.kind == .memory
        ? InMemoryRecordStore() : try await FileRecordStore.open("\(state.path)/connections", logger: logger),
      quiescence: quiescence, logger: logger, logLevel: logLevel)

    let transport = HTTPTransport(authority: configuration.tls.authority)
    let reporter = try Self.reporter(configuration, node, transport, logger)
    let readiness = Readiness(socket: getenv("NOTIFY_SOCKET").map { String(cString: $0) }, logger: logger)
    let restoration = Restoration(
      node: node, logger: logger,
      afterPass: {
        readiness.passed()
        reporter?.changed()
      })
    var services: [any Service] = [Groundwork(state: state, transport: transport)]
    if let daemon = drivers.exporterDaemon(log: "\(state.path)/tgtd.log", whenFresh: { restoration.begin() }) {
      services.append(daemon)
    }
    services += drivers.services
    if let quiescence { services.append(quiescence) }
    services += [restoration, readiness]
    if node.makesDevices { services.append(Sweep(node: node)) }
    if let hypervisor = drivers.node.hypervisor {
      services.append(
        HypervisorWatch(hypervisor: hypervisor, restoration: restoration, reporter: reporter, logger: logger))
    }
    if let reporter { services.append(reporter) }
    services.append(try Self.server(configuration, node, token: token, logger))

    self.node = node
    self.services = services
    self.logger = logger
  }

  /// Runs until it is told to shut down (`SIGTERM` and `SIGINT` in a process), and then ends what was begun. tgtd and
  /// instances run on.
  public func run() async throws {
    logger.notice(
      "agent starts",
      metadata: [
        "node.name": "\(node.identity.name)", "node.address": "\(node.identity.address)",
        "backend.names": "\(node.drivers.backends.map(\.name))",
      ])
    let group = ServiceGroup(services: services, logger: logger.quieter)
    try await group.run()
    logger.notice("agent has stopped")
  }

  /// Runs it as a process does: until a signal.
  public func runUntilSignal() async throws {
    var configuration = ServiceGroupConfiguration(
      services: [ServiceGroupConfiguration.ServiceConfiguration(service: self)],
      gracefulShutdownSignals: [.sigterm, .sigint], logger: logger.quieter)
    configuration.maximumGracefulShutdownDuration = .seconds(45)
    try await ServiceGroup(configuration: configuration).run()
  }

  /// The one logger of an agent.
  public static let loggerName = LogSetting.agentLogger

  /// A logger as agents use it: structured lines on standard error.
  public static func logger(level: Logger.Level) -> Logger { logger(LogLevel(level)) }

  /// The same, which logs from the level on that the process has now.
  public static func logger(_ level: LogLevel) -> Logger {
    Logger(label: loggerName) { LeveledLogHandler(StreamLogHandler.standardError(label: $0), from: level) }
  }

  // MARK: Parts

  private static func reporter(
    _ configuration: AgentConfiguration, _ node: NodeService, _ transport: HTTPTransport, _ logger: Logger
  ) throws(StorageError) -> Reporter? {
    guard let coordinator = configuration.coordinator, let file = configuration.joinTokenFile else {
      logger.notice("no coordinator is configured, so nothing is reported")
      return nil
    }
    let client = CoordinatorClient(
      at: coordinator, token: try SecretFile.token(in: file, calledBy: "join_token_file"), transport: transport)
    // The first report waits until the records have been gone through: it shall not show exports as missing.
    return Reporter(
      node: node, sink: client, interval: configuration.reportInterval, startsAtOnce: false, logger: logger)
  }

  private static func quiescence(
    _ configuration: AgentConfiguration, _ hypervisor: (any Hypervisor)?, in state: StateDirectory, _ logger: Logger
  ) async throws(StorageError) -> Quiescence? {
    guard let hypervisor = hypervisor as? any QuiescingHypervisor else { return nil }
    let records: any RecordStore<QuiescenceRecord> =
      configuration.hypervisor.kind == .memory
      ? InMemoryRecordStore() : try await FileRecordStore.open("\(state.path)/frozen", logger: logger)
    return Quiescence(hypervisor: hypervisor, records: records, logger: logger)
  }

  private static func server(
    _ configuration: AgentConfiguration, _ node: NodeService, token: String, _ logger: Logger
  ) throws(StorageError) -> any Service {
    Application(
      router: NodeRoutes(node: node, token: token).router(), server: try server(configuration.tls),
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.listen.host, port: configuration.listen.port), serverName: nil),
      logger: logger.quieter)
  }

  private static func server(_ tls: AgentConfiguration.TLS) throws(StorageError) -> HTTPServerBuilder {
    guard let certificate = tls.certificate, let key = tls.key else { return .http1() }
    do {
      let chain = try NIOSSLCertificate.fromPEMFile(certificate).map { NIOSSLCertificateSource.certificate($0) }
      let privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
      return try .tls(
        .http1(),
        tlsConfiguration: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(privateKey)))
    } catch {
      throw StorageError(
        .invalid,
        "The certificate \(certificate) (tls.certificate) or its key \(key) (tls.key) can't be used: \(error)",
        field: "tls")
    }
  }
}

/// What everything else stands on; it goes last.
private struct Groundwork: Service {
  /// Held so that no second agent gets it.
  let state: StateDirectory
  let transport: HTTPTransport

  func run() async throws {
    try? await gracefulShutdown()
    await transport.shutdown()
    withExtendedLifetime(state) {}
  }
}

extension Logger {
  /// For libraries that tell of each step: from warnings on, unless everything is wanted.
  fileprivate var quieter: Logger {
    var logger = self
    if logLevel == .info || logLevel == .notice { logger.logLevel = .warning }
    return logger
  }
}
