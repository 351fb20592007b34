import Configuration
public import Logging
public import PumiceModel

/// The settings of a coordinator: from its file, over these its environment (`PUMICE_COORDINATOR_…`), over these its flags.
///
/// A key that is not known, or a value of the wrong type, is an error that names the key.
public struct CoordinatorConfiguration: Sendable {
  public enum Authentication: String, Sendable, CaseIterable {
    /// Everybody is admin.
    case none
    /// Static tokens, from `tokensFile`.
    case token
    /// Users with passwords, from `usersFile`, and tokens that the coordinator gives out.
    case builtin
    /// Tokens that a Keystone has given out.
    case keystone
  }

  /// How the coordinator asks a Keystone about tokens.
  public struct Keystone: Sendable, Equatable {
    /// Such as `http://keystone:5000/v3`.
    public var url: String
    public var user: String
    public var passwordFile: String
    public var project: String
    /// The name of the domain that user and project are in.
    public var domain: String
    /// The PEM file with the certificates that Keystone is trusted by; the system's if `nil`.
    public var ca: String?
    /// How long what it said of a token is gone by.
    public var cacheTime: Duration
  }

  public struct TLS: Sendable, Equatable {
    public var certificate: String
    public var key: String
    /// The PEM file with the certificates that agents are trusted by; the system's if `nil`.
    public var ca: String?
  }

  /// Where it listens; see `ListenAddress`.
  public var listen = ListenAddress(host: "127.0.0.1", port: 8776)
  /// The SQLite file, or `memory` for a fleet that need not survive.
  public var database: String
  /// The file with the token that agents and coordinator know each other by.
  public var joinTokenFile: String
  public var authentication = Authentication.none
  public var tokensFile: String?
  public var usersFile: String?
  public var tokenKeyFile: String?
  public var tokenLifetime: Duration = .seconds(3600)
  public var keystone: Keystone?
  public var allowsUnauthenticatedRemote = false
  public var reportInterval: Duration = .seconds(10)
  public var serviceDownTime: Duration = .seconds(60)
  public var maxPlacementAttempts = 3
  /// How long a guest may hold still for a snapshot; 0 is never.
  public var quiesceTimeout: Duration = .seconds(10)
  public var weighing = PoolWeighing.byCapacity
  public var logLevel = Logger.Level.info
  public var tls: TLS?

  /// - Parameters:
  ///   - file: The text of the configuration file, in YAML.
  ///   - environment: All variables of the process; those of others are passed over.
  ///   - flags: By the same keys as in the file.
  public init(file: String?, environment: [String: String], flags: [String: String]) throws(StorageError) {
    let settings = try Settings(file: file, environment: environment, flags: flags)
    database = try settings.required("database")
    joinTokenFile = try settings.required("join_token_file")
    if let text = settings.text("listen") { listen = try ListenAddress(text) }
    if let text = settings.text("auth") {
      guard let mode = Authentication(rawValue: text) else {
        throw .invalid("auth", "must be none, token, builtin or keystone, not '\(text)'.")
      }
      authentication = mode
    }
    tokensFile = settings.text("tokens_file")
    usersFile = settings.text("users_file")
    tokenKeyFile = settings.text("token_key_file") ?? usersFile.map { $0 + ".key" }
    tokenLifetime = try settings.seconds("token_lifetime") ?? tokenLifetime
    keystone = try Self.keystone(settings)
    allowsUnauthenticatedRemote = settings.flag("allow_unauthenticated_remote") ?? false
    reportInterval = try settings.seconds("report_interval") ?? reportInterval
    serviceDownTime = try settings.seconds("service_down_time") ?? serviceDownTime
    if let attempts = settings.number("max_placement_attempts") {
      guard (1...100).contains(attempts) else { throw .invalid("max_placement_attempts", "must be from 1 to 100.") }
      maxPlacementAttempts = attempts
    }
    if let seconds = settings.number("quiesce_timeout") {
      guard (0...60).contains(seconds) else { throw .invalid("quiesce_timeout", "must be from 0 to 60 seconds.") }
      quiesceTimeout = .seconds(seconds)
    }
    let weighers = settings.weighers
    if !weighers.isEmpty { weighing = try PoolWeighing(weighers) }
    if let text = settings.text("log_level") {
      guard let level = Logger.Level(rawValue: text) else {
        let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw .invalid("log_level", "must be one of \(known), not '\(text)'.")
      }
      logLevel = level
    }
    tls = try Self.tls(settings)
    try check()
  }

  private static func keystone(_ settings: Settings) throws(StorageError) -> Keystone? {
    guard let url = settings.text("keystone.url") else { return nil }
    guard url.hasPrefix("http://") || url.hasPrefix("https://"), !url.contains("?"), !url.contains("#") else {
      throw .invalid("keystone.url", "must be like http://keystone:5000/v3, not '\(url)'.")
    }
    // Clients may leave out the version; we say which one we mean.
    var base = url
    while base.hasSuffix("/") { base.removeLast() }
    if !base.hasSuffix("/v3") { base += "/v3" }
    return Keystone(
      url: base, user: try settings.required("keystone.user"),
      passwordFile: try settings.required("keystone.password_file"),
      project: settings.text("keystone.project") ?? "service", domain: settings.text("keystone.domain") ?? "Default",
      ca: settings.text("keystone.ca"), cacheTime: try settings.seconds("keystone.cache_time") ?? .seconds(60))
  }

  private static func tls(_ settings: Settings) throws(StorageError) -> TLS? {
    let (certificate, key) = (settings.text("tls.certificate"), settings.text("tls.key"))
    guard certificate != nil || key != nil else { return nil }
    guard let certificate else { throw .invalid("tls.certificate", "is required where tls.key is given.") }
    guard let key else { throw .invalid("tls.key", "is required where tls.certificate is given.") }
    return TLS(certificate: certificate, key: key, ca: settings.text("tls.ca"))
  }

  /// What no single key is wrong about.
  private func check() throws(StorageError) {
    switch authentication {
    case .none:
      guard listen.isLoopback || allowsUnauthenticatedRemote else {
        throw .invalid(
          "listen",
          "\(listen) is not a loopback address, and auth is none: everybody who reaches it would be admin. Use auth: token, "
            + "or say allow_unauthenticated_remote: true.")
      }
    case .token:
      guard tokensFile != nil else { throw .invalid("tokens_file", "is required where auth is token.") }
    case .builtin:
      guard usersFile != nil else { throw .invalid("users_file", "is required where auth is builtin.") }
      guard tokenLifetime >= .seconds(60) else { throw .invalid("token_lifetime", "must be at least 60 seconds.") }
    case .keystone:
      guard keystone != nil else { throw .invalid("keystone.url", "is required where auth is keystone.") }
    }
    guard serviceDownTime >= reportInterval * 2 else {
      throw .invalid("service_down_time", "must be at least twice report_interval.")
    }
  }
}

/// A host and a port to listen on: `127.0.0.1:8776`, `[::1]:8776`, `host:8776`.
public struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
  public var host: String
  /// 0 lets the system choose.
  public var port: Int

  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  init(_ text: String) throws(StorageError) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw .invalid("listen", "must be like 127.0.0.1:8776, not '\(text)'.")
    }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      throw .invalid("listen", "must have an IPv6 address in brackets, like [::1]:8776, not '\(text)'.")
    }
    guard !host.isEmpty else { throw .invalid("listen", "must be like 127.0.0.1:8776, not '\(text)'.") }
    self.init(host: host, port: Int(port))
  }

  /// Whether only this machine reaches it.
  public var isLoopback: Bool {
    if host == "localhost" || host == "::1" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
