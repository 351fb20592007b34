import HTTPTypes
import Hummingbird
import Logging
import PumiceModel

extension BlockStorageRoutes {
  /// What an operator does with services beside switching them on and off.
  func addServiceActions(to routes: Routes) {
    routes.on(.put, "os-services/freeze", needs: .writeServices) { try await Self.setFrozen(true, $0) }
    routes.on(.put, "os-services/thaw", needs: .writeServices) { try await Self.setFrozen(false, $0) }
    routes.on(.put, "os-services/get-log", needs: .writeServices, since: Microversion(3, 32)) { call in
      let choice = try await LogChoice(call, besides: [])
      return try Response.json(["log_levels": choice.binaries.map { LoggingService(binary: $0, choice, call) }])
    }
    routes.on(.put, "os-services/set-log", needs: .writeServices, since: Microversion(3, 32)) { call in
      let choice = try await LogChoice(call, besides: ["level"])
      guard let text = try choice.fields.text("level"), let level = Logger.Level(cinder: text) else {
        throw StorageError.invalid("level", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
      }
      guard !choice.isAboutAgents else {
        throw StorageError.invalid(
          "binary", "must not be \(Self.volumeBinary): agents' logs are set by their own configuration.")
      }
      if !choice.binaries.isEmpty, choice.isAboutUs { call.api.logLevel.set(level) }
      call.context.logger.notice("Level of the log set", metadata: ["level": "\(level)"])
      return .accepted
    }
    // openstacksdk sends PUT.
    for method in [HTTPRequest.Method.post, .put] {
      routes.on(method, "workers/cleanup", needs: .writeServices, since: Microversion(3, 24)) {
        try await Self.cleanUp($0)
      }
    }
  }

  /// Work that was interrupted is gone on with by itself: there is nothing to clean up, for anybody.
  private static func cleanUp(_ call: Call) async throws -> Response {
    let fields = try await call.body()
    try fields.refuseUnknown(except: [
      "cluster_name", "host", "binary", "is_up", "disabled", "resource_id", "resource_type", "service_id",
    ])
    for name in ["cluster_name", "host", "binary"] { _ = try fields.text(name) }
    for name in ["is_up", "disabled"] { _ = try fields.flag(name) }
    _ = try fields.id("resource_id") as VolumeID?
    _ = try fields.integer("service_id", in: 0...2_147_483_647)
    if let kind = try fields.text("resource_type"), !["volume", "snapshot"].contains(kind.lowercased()) {
      throw StorageError.invalid("resource_type", "must be Volume or Snapshot, not '\(kind.prefix(40))'.")
    }
    return try Response.json(["cleaning": [String](), "unavailable": []], status: .accepted)
  }

  private static func setFrozen(_ isFrozen: Bool, _ call: Call) async throws -> Response {
    let fields = try await call.body()
    try fields.refuseUnknown(except: ["host", "cluster"])
    try fields.refuseUnsupported(["cluster"])
    let host = try fields.requiredText("host")
    let name = NodeName(host.prefix { $0 != "@" })
    let now = call.now
    try requireBackend(of: host, on: name, call.tables)
    try await call.api.store.write { try $0.setFrozen(isFrozen, name, at: now) }
    call.context.logger.notice("Node frozen or thawed", metadata: ["node": "\(name)", "frozen": "\(isFrozen)"])
    return .accepted
  }
}

/// Whose log a request is about.
private struct LogChoice {
  /// What the coordinator is, in Cinder's words.
  private static let ours: Set<String> = ["cinder-api", "cinder-scheduler"]

  let fields: RequestFields
  /// Those of the coordinator that are meant.
  let binaries: [String]
  let isAboutAgents: Bool
  /// Whether the prefix, if there is one, is one of the only logger's name.
  let isAboutUs: Bool

  init(_ call: Call, besides others: Set<String>) async throws {
    fields = try await call.body()
    try fields.refuseUnknown(except: others.union(["binary", "server", "prefix"]))
    let binary = try fields.text("binary") ?? ""
    guard ["", "*", "cinder-api", "cinder-scheduler", "cinder-volume", "cinder-backup"].contains(binary) else {
      throw StorageError.invalid(
        "binary", "must be cinder-api, cinder-scheduler, cinder-volume, cinder-backup or *, not '\(binary.prefix(40))'."
      )
    }
    let server = try fields.text("server") ?? ""
    let isHere = server.isEmpty || server == call.api.hostName
    let all = binary.isEmpty || binary == "*"
    binaries = isHere ? Self.ours.filter { all || $0 == binary }.sorted() : []
    isAboutAgents = binary == BlockStorageRoutes.volumeBinary
    isAboutUs = LogLevel.loggerName.hasPrefix(try fields.text("prefix") ?? "")
  }
}

private struct LoggingService: Encodable {
  let binary: String
  let host: String
  let levels: [String: String]

  init(binary: String, _ choice: LogChoice, _ call: Call) {
    self.binary = binary
    host = call.api.hostName
    levels = choice.isAboutUs ? [LogLevel.loggerName: call.api.logLevel.value.cinder] : [:]
  }
}

extension Logger.Level {
  fileprivate init?(cinder name: String) {
    switch name.uppercased() {
    case "DEBUG": self = .debug
    case "INFO": self = .info
    case "WARNING": self = .warning
    case "ERROR": self = .error
    case "CRITICAL": self = .critical
    default: return nil
    }
  }

  fileprivate var cinder: String {
    switch self {
    case .trace, .debug: "DEBUG"
    case .info, .notice: "INFO"
    case .warning: "WARNING"
    case .error: "ERROR"
    case .critical: "CRITICAL"
    }
  }
}
