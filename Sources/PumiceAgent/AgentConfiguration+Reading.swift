import Configuration
import Glibc
import Logging
public import PumiceModel

extension AgentConfiguration {
  /// Reads the file and puts environment and flags over it.
  ///
  /// Throws `invalid` with the key's name for anything that is not known, has the wrong type or makes no sense.
  public static func read(
    file: String?, environment: [String: String] = [:], flags: [Key: String] = [:]
  ) throws(StorageError) -> AgentConfiguration {
    let yaml: String
    if let file {
      do {
        yaml = try String(contentsOfFile: file)
      } catch {
        throw StorageError(.invalid, "The configuration file \(file) can't be read: \(error.message)", field: "config")
      }
    } else {
      yaml = ""
    }
    return try read(yaml: yaml, environment: environment, flags: flags)
  }

  static func read(
    yaml: String, environment: [String: String] = [:], flags: [Key: String] = [:]
  ) throws(StorageError) -> AgentConfiguration {
    let file = try ConfigurationFile(yaml: yaml)
    try checkNames(in: environment)
    return try Settings(
      reader: ConfigReader(providers: [
        provider("flags", flags),
        EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "pumice.agent"),
        provider("file", file.values),
      ])
    ).configuration(backends: file.backends)
  }

  private static func provider(_ name: String, _ values: [Key: String]) -> InMemoryProvider {
    let pairs = values.map { (AbsoluteConfigKey(ConfigKey($0.rawValue)), ConfigValue(.string($1), isSecret: false)) }
    return InMemoryProvider(name: name, values: Dictionary(pairs, uniquingKeysWith: { first, _ in first }))
  }

  /// A misspelt variable shall not be passed over.
  private static func checkNames(in environment: [String: String]) throws(StorageError) {
    let known = Set(Key.allCases.map(\.environmentVariable) + ["\(Key.environmentPrefix)CONFIG"])
    let unknown = environment.keys.filter { $0.hasPrefix(Key.environmentPrefix) && !known.contains($0) }.min()
    if let unknown { throw .invalid(unknown, "is not a known environment variable.") }
  }
}

/// The values of a configuration on their way from text to types.
private struct Settings {
  typealias Key = AgentConfiguration.Key

  let reader: ConfigReader

  func configuration(backends: [BackendConfiguration]) throws(StorageError) -> AgentConfiguration {
    let listen = try listenAddress()
    let tls = AgentConfiguration.TLS(
      certificate: try path(.tlsCertificate), key: try path(.tlsKey), authority: try path(.tlsAuthority))
    if (tls.certificate == nil) != (tls.key == nil) {
      throw .invalid(
        tls.key == nil ? "tls.key" : "tls.certificate", "must be set too: certificate and key belong together.")
    }
    let joinTokenFile = try path(.joinTokenFile)
    guard let tokenFile = try path(.tokenFile) ?? joinTokenFile else {
      throw .invalid("token_file", "must be set, or join_token_file: it holds the token that callers have to show.")
    }
    let coordinator = try url(.coordinator)
    if coordinator != nil, joinTokenFile == nil {
      throw .invalid("join_token_file", "must be set: the coordinator takes reports only with its join token.")
    }
    return AgentConfiguration(
      name: try nodeName(), listen: listen, address: try address(listen, tls), coordinator: coordinator,
      joinTokenFile: joinTokenFile, tokenFile: tokenFile,
      stateDirectory: try path(.stateDirectory) ?? "/var/lib/pumice/agent",
      availabilityZone: text(.availabilityZone) ?? "nova", reportInterval: try reportInterval(),
      logLevel: try choice(.logLevel) ?? .info, initiatorName: try iscsiName(.initiatorName), backends: backends,
      exporter: try exporter(backends),
      hypervisor: try hypervisor(), tls: tls,
      nfsMountBase: try path(.nfsMountBase) ?? ShareMounts.Places().base)
  }

  // MARK: Sections

  private func exporter(_ backends: [BackendConfiguration]) throws(StorageError) -> AgentConfiguration.Exporter {
    let isInMemory = backends.allSatisfy { if case .memory = $0 { true } else { false } }
    let needNone = backends.allSatisfy { if case .nfs = $0 { true } else { false } }
    let kind =
      try choice(.exporterKind)
      ?? (needNone ? .none : isInMemory ? .memory : AgentConfiguration.Exporter.Kind.tgt)
    let socket = try path(.exporterSocket) ?? "/var/run/tgtd/socket.0"
    guard let dot = socket.lastIndex(of: "."), UInt16(socket[socket.index(after: dot)...]) != nil else {
      throw .invalid("exporter.ipc_socket", "must end with a dot and tgtd's control port; it is \"\(socket)\".")
    }
    let portals = (text(.exporterPortals) ?? "127.0.0.1:3260").split(separator: ",").map { $0.trimmed }
    for portal in portals where Self.hostAndPort(portal) == nil {
      throw .invalid("exporter.portals", "must be host:port; \"\(portal)\" is not.")
    }
    guard !portals.isEmpty else { throw .invalid("exporter.portals", "must not be empty.") }
    for portal in portals where kind == .lio && LIOPortal(portal)?.isEverywhere != false {
      throw .invalid(
        "exporter.portals", "must be addresses of this machine when kind is lio; \"\(portal)\" is none.")
    }
    return AgentConfiguration.Exporter(
      kind: kind, socketPath: socket, portals: portals, startsDaemon: try truth(.exporterStart) ?? true,
      targetPrefix: try iscsiName(.exporterTargetPrefix) ?? "iqn.2026-11.io.pumice")
  }

  private func hypervisor() throws(StorageError) -> AgentConfiguration.Hypervisor {
    let kind: AgentConfiguration.Hypervisor.Kind = try choice(.hypervisorKind) ?? .none
    let connector: AgentConfiguration.Hypervisor.Connector? = try choice(.hypervisorConnector)
    if kind == .host, connector == .qemu {
      throw .invalid(
        "hypervisor.connector", "must be iscsi-kernel for hypervisor.kind host: there is no QEMU to log in.")
    }
    return AgentConfiguration.Hypervisor(
      kind: kind, uri: text(.hypervisorURI) ?? "qemu:///system",
      connector: connector ?? (kind == .host ? .kernel : .qemu),
      nfsConnector: try choice(.hypervisorNFSConnector) ?? .auto)
  }

  private func listenAddress() throws(StorageError) -> AgentConfiguration.ListenAddress {
    let text = text(.listen) ?? "127.0.0.1:9776"
    guard let address = Self.hostAndPort(text) else {
      throw .invalid("listen", "must be host:port; it is \"\(text)\".")
    }
    return address
  }

  private func address(
    _ listen: AgentConfiguration.ListenAddress, _ tls: AgentConfiguration.TLS
  ) throws(StorageError) -> String {
    if let address = try url(.address) { return address }
    guard !listen.isEverywhere else {
      throw .invalid("address", "must be set, since \(listen) is no address that the coordinator could reach.")
    }
    return "\(tls.certificate == nil ? "http" : "https")://\(listen)"
  }

  private func nodeName() throws(StorageError) -> NodeName {
    let name = text(.name) ?? Self.hostName()
    let isPlain = name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || ".-_".contains($0)) }
    guard isPlain, 1...253 ~= name.count else {
      throw .invalid("name", "must be 1 to 253 letters, digits, dots, hyphens and underscores; it is \"\(name)\".")
    }
    return name
  }

  private func reportInterval() throws(StorageError) -> Duration {
    guard let text = text(.reportInterval) else { return .seconds(10) }
    guard let seconds = Double(text), (0.1...3600).contains(seconds) else {
      throw .invalid("report_interval", "must be a number of seconds from 0.1 to 3600; it is \"\(text)\".")
    }
    return .milliseconds(Int64(seconds * 1000))
  }

  // MARK: Values

  /// An empty one counts as not set.
  private func text(_ key: Key) -> String? {
    reader.string(forKey: ConfigKey(key.rawValue)).flatMap { $0.trimmed.isEmpty ? nil : $0.trimmed }
  }

  private func path(_ key: Key) throws(StorageError) -> String? {
    guard let path = text(key) else { return nil }
    guard path.hasPrefix("/") else { throw .invalid(key.rawValue, "must be an absolute path; it is \"\(path)\".") }
    return path
  }

  private func url(_ key: Key) throws(StorageError) -> String? {
    guard let url = text(key) else { return nil }
    guard url.hasPrefix("http://") || url.hasPrefix("https://"), !url.contains(where: \.isWhitespace) else {
      throw .invalid(key.rawValue, "must be a URL such as http://10.0.0.7:9776; it is \"\(url)\".")
    }
    return url
  }

  private func iscsiName(_ key: Key) throws(StorageError) -> String? {
    guard let name = text(key) else { return nil }
    try checkISCSIName(key.rawValue, name)
    return name
  }

  private func truth(_ key: Key) throws(StorageError) -> Bool? {
    switch text(key) {
    case nil: return nil
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    case .some(let text): throw .invalid(key.rawValue, "must be true or false; it is \"\(text)\".")
    }
  }

  private func choice<Choice>(_ key: Key) throws(StorageError) -> Choice?
  where Choice: RawRepresentable<String> & CaseIterable {
    guard let text = text(key) else { return nil }
    guard let choice = Choice(rawValue: text) else {
      let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw .invalid(key.rawValue, "must be one of \(choices); it is \"\(text)\".")
    }
    return choice
  }

  private static func hostAndPort(_ text: String) -> AgentConfiguration.ListenAddress? {
    guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), 0...65535 ~= port
    else {
      return nil
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    return host.isEmpty ? nil : AgentConfiguration.ListenAddress(host: String(host), port: port)
  }

  /// See gethostname(2).
  private static func hostName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension StringProtocol {
  fileprivate var trimmed: String {
    String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}
