import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOCore
import NIOSSL
import PumiceIdentity
import PumiceModel
public import PumiceWire
public import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
  import Glibc
#endif

/// The coordinator as one service: store, watch, reconciler and HTTP server, put together.
///
/// They start in this order and stop in the other one: first no more requests are taken in and those under way are answered,
/// then no more work is begun, and last the store writes what is queued.
public struct Coordinator: Service {
  /// Its one logger.
  public static let loggerName = "pumice-coordinator"

  private let services: [any Service]
  private let shutdown: @Sendable () async -> Void
  private let logger: Logger

  /// Opens the store and reads the secrets; nothing listens yet.
  ///
  /// - Parameters:
  ///   - directory: Where agents are found, for tests; over HTTP if `nil`.
  ///   - logLevel: What operators change, of a logger whose handler follows it.
  ///   - announce: Told the address, such as `http://127.0.0.1:8776`, once requests are taken in.
  public static func open(
    _ configuration: CoordinatorConfiguration, directory: (any NodeDirectory)? = nil, logger: Logger,
    logLevel: LogLevel = LogLevel(.info),
    announce: @escaping @Sendable (String) async -> Void = { _ in }
  ) async throws -> Coordinator {
    let surroundings = Surroundings.system()
    let joinToken = try SecretFile.token(in: configuration.joinTokenFile, calledBy: "join_token_file")
    let authenticator = Authenticator(mode: try mode(configuration, surroundings, logger: logger))
    let journal: any Journal =
      configuration.database == "memory" ? InMemoryJournal() : try SQLiteJournal(path: configuration.database)
    let store = try await Store.open(journal)
    var policy = Policy(startedAt: surroundings.now())
    policy.reportInterval = configuration.reportInterval
    policy.serviceDownTime = configuration.serviceDownTime
    policy.maxPlacementAttempts = configuration.maxPlacementAttempts
    policy.quiesceTimeout = configuration.quiesceTimeout
    policy.weighing = configuration.weighing
    let transport = directory == nil ? HTTPTransport(authority: configuration.tls?.ca) : nil
    let nodes = directory ?? transport.map { HTTPNodeDirectory(token: joinToken, transport: $0) }
    guard let nodes else { preconditionFailure("Without a directory there is a transport.") }
    let watch = NodeWatch(
      store: store, directory: nodes, policy: policy, surroundings: surroundings, logger: logger)
    let reconciler = Reconciler(
      store: store, directory: nodes, policy: policy, surroundings: surroundings, logger: logger)
    let scheme = configuration.tls == nil ? "http" : "https"
    let api = CoordinatorAPI(
      store: store, policy: policy, surroundings: surroundings, authenticator: authenticator, joinToken: joinToken,
      watch: watch, scheme: scheme, authority: configuration.listen.description, hostName: hostName(),
      logLevel: logLevel)
    var application = Application(
      responder: api.router().buildResponder(),
      server: try server(configuration.tls),
      configuration: ApplicationConfiguration(
        address: .hostname(configuration.listen.host, port: configuration.listen.port), serverName: nil),
      onServerRunning: { channel in
        let port = channel.localAddress?.port ?? configuration.listen.port
        await announce("\(scheme)://\(ListenAddress(host: configuration.listen.host, port: port))")
      },
      logger: logger)
    application.beforeServerStarts { try await api.bootstrap() }
    return Coordinator(
      services: [store, watch, reconciler, application], shutdown: { await transport?.shutdown() }, logger: logger)
  }

  private static func mode(
    _ configuration: CoordinatorConfiguration, _ surroundings: Surroundings, logger: Logger
  ) throws -> Authenticator.Mode {
    switch configuration.authentication {
    case .none: .none
    case .token: .tokens(try TokenFile.read(configuration.tokensFile ?? ""))
    case .builtin:
      .builtin(
        TokenOffice(
          try UserDirectory(path: configuration.usersFile ?? "", logger: logger),
          seal: try TokenSeal(key: try tokenKey(configuration.tokenKeyFile ?? "")),
          lifetime: configuration.tokenLifetime))
    case .keystone:
      .keystone(try gate(configuration.keystone, now: surroundings.now, logger: logger))
    }
  }

  private static func gate(
    _ keystone: CoordinatorConfiguration.Keystone?, now: @escaping @Sendable () -> Timestamp, logger: Logger
  ) throws(StorageError) -> KeystoneGate {
    guard let keystone else { throw .invalid("keystone.url", "is required where auth is keystone.") }
    let account = KeystoneClient.Account(
      url: keystone.url, user: keystone.user,
      password: String(
        decoding: try SecretFile.read(keystone.passwordFile, calledBy: "keystone.password_file"), as: UTF8.self
      ).trimmed,
      project: keystone.project, domain: keystone.domain)
    return KeystoneGate(
      KeystoneClient(account, authority: keystone.ca), cacheTime: keystone.cacheTime, now: now, logger: logger)
  }

  /// The key that tokens are sealed with. Without a file, one is made with a new key: tokens from before are worth nothing then.
  private static func tokenKey(_ path: String) throws(StorageError) -> [UInt8] {
    do throws(StorageError) {
      return try SecretFile.read(path, calledBy: "token_key_file")
    } catch {
      guard error.code == .missingPart else { throw error }
      let key = TokenSeal.newKey()
      try SecretFile.write(key, to: path)
      return key
    }
  }

  private static func server(_ tls: CoordinatorConfiguration.TLS?) throws -> HTTPServerBuilder {
    // A keep-alive connection that nobody uses is closed, so that it holds up no shutdown and no descriptor.
    let plain = HTTPServerBuilder.http1(configuration: .init(idleTimeout: .seconds(75)))
    guard let tls else { return plain }
    var settings = TLSConfiguration.makeServerConfiguration(
      certificateChain: try NIOSSLCertificate.fromPEMFile(tls.certificate).map { .certificate($0) },
      privateKey: .privateKey(try NIOSSLPrivateKey(file: tls.key, format: .pem)))
    settings.minimumTLSVersion = .tlsv12
    return try .tls(plain, tlsConfiguration: settings)
  }

  private static func hostName() -> String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "coordinator" }
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Serves until the surrounding task is cancelled or shut down gracefully, or a part fails.
  public func run() async throws {
    try await run(drainingOn: [])
  }

  /// The same as a process of its own: SIGTERM and SIGINT begin a graceful shutdown, which ends by force after 30 seconds.
  public func runUntilSignal() async throws {
    try await run(drainingOn: [.sigterm, .sigint])
  }

  private func run(drainingOn signals: [UnixSignal]) async throws {
    var configuration = ServiceGroupConfiguration(
      services: services.map { .init(service: $0, failureTerminationBehavior: .gracefullyShutdownGroup) },
      gracefulShutdownSignals: signals, logger: logger)
    configuration.maximumGracefulShutdownDuration = .seconds(30)
    do {
      try await ServiceGroup(configuration: configuration).run()
    } catch {
      await shutdown()
      throw error
    }
    await shutdown()
  }
}

extension CoordinatorAPI {
  /// What has to be there before the first request. Harmless when repeated.
  func bootstrap() async throws {
    guard store.tables.type(named: VolumeType.defaultName) == nil else { return }
    let surroundings = surroundings
    try await store.write { $0.ensureDefaultType(at: surroundings.now(), in: surroundings) }
  }
}
