import HTTPTypes
import HashTreeCollections
import Hummingbird
import Logging
import PumiceModel
import PumiceWire

extension BlockStorageRoutes {
  /// What the coordinator and the agents log, shown and set while they run.
  func addServiceLogs(to routes: Routes) {
    routes.on(.put, "os-services/get-log", needs: .writeServices, since: Microversion(3, 32)) { call in
      let choice = try await LogChoice(call, besides: [])
      let agents = await choice.askAgents { node throws(StorageError) in try await node.logSetting() }
      let own = choice.binaries.map { LoggingService(binary: $0, choice, call) }
      return try Response.json(["log_levels": own + choice.services.map { LoggingService($0, choice, agents[$0.node]) }]
      )
    }
    routes.on(.put, "os-services/set-log", needs: .writeServices, since: Microversion(3, 32)) { call in
      let choice = try await LogChoice(call, besides: ["level"])
      guard let text = try choice.fields.text("level"), let level = Logger.Level(cinder: text) else {
        throw StorageError.invalid("level", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
      }
      if !choice.binaries.isEmpty, choice.isAbout(Coordinator.loggerName) { call.api.logLevel.set(level) }
      if choice.isAbout(LogSetting.agentLogger) {
        let setting = LogSetting(level: level)
        let answers = await choice.askAgents { node throws(StorageError) in try await node.setLog(setting) }
        try LogChoice.requireSuccess(answers)
      }
      call.context.logger.notice(
        "Level of the log set",
        metadata: ["level": "\(level)", "services": "\(choice.binaries + choice.services.map(\.host))"])
      return .accepted
    }
  }
}

extension ServiceResource {
  fileprivate var node: NodeName { NodeName(host.prefix { $0 != "@" }) }
}

/// Whose log a request is about.
private struct LogChoice {
  /// What the coordinator is, in Cinder's words.
  private static let ours: Set<String> = ["cinder-api", "cinder-scheduler"]
  /// How many agents are asked at once.
  private static let width = 32

  let fields: RequestFields
  /// Those of the coordinator that are meant.
  let binaries: [String]
  /// Those of agents that are meant: of all servers those that are up, or whatever one server has.
  let services: [ServiceResource]
  private let prefix: String
  private let call: Call

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
    services = BlockStorageRoutes.services(call).filter {
      $0.binary == BlockStorageRoutes.volumeBinary && (all || $0.binary == binary)
        && (server.isEmpty ? $0.state == "up" : $0.host == server || $0.node == server)
    }
    prefix = try fields.text("prefix") ?? ""
    self.call = call
  }

  /// Whether the prefix, if there is one, is one of this logger's name.
  func isAbout(_ logger: String) -> Bool { logger.hasPrefix(prefix) }

  /// Calls the agents, each once, and gives what each of them answered.
  func askAgents<Value: Sendable>(
    _ question: @escaping @Sendable (any LoggingNodeAPI) async throws(StorageError) -> Value
  ) async -> [NodeName: Result<Value, StorageError>] {
    let (tables, directory) = (call.tables, call.api.watch.directory)
    var rest = Set(services.map(\.node)).sorted()[...]
    return await withTaskGroup(of: (NodeName, Result<Value, StorageError>).self) { tasks in
      func begin(_ name: NodeName) {
        tasks.addTask { () async -> (NodeName, Result<Value, StorageError>) in
          do throws(StorageError) {
            guard let row = tables.nodes[name], let node = directory.node(name, at: row.address) as? any LoggingNodeAPI
            else { throw StorageError(.unsupported, "Node \(name) can't be asked for its log.") }
            return (name, .success(try await question(node)))
          } catch {
            return (name, .failure(error))
          }
        }
      }
      for name in rest.prefix(Self.width) { begin(name) }
      rest = rest.dropFirst(Self.width)
      var answers: [NodeName: Result<Value, StorageError>] = [:]
      while let (name, answer) = await tasks.next() {
        answers[name] = answer
        if let next = rest.popFirst() { begin(next) }
      }
      return answers
    }
  }

  /// Throws `conflict` unless all did what they were asked.
  static func requireSuccess(_ answers: [NodeName: Result<Void, StorageError>]) throws(StorageError) {
    let failures = answers.compactMap { name, answer in
      if case .failure(let error) = answer { (name, error.message) } else { nil }
    }.sorted { $0.0 < $1.0 }
    guard let (name, message) = failures.first else { return }
    throw StorageError(
      .conflict,
      "The log of \(failures.count) of \(answers.count) nodes could not be set, such as that of \(name): \(message)")
  }
}

private struct LoggingService: Encodable {
  let binary: String
  let host: String
  /// By the logger's name; empty where none is meant, and where the agent did not say.
  let levels: [String: String]

  init(binary: String, _ choice: LogChoice, _ call: Call) {
    self.binary = binary
    host = call.api.hostName
    levels = choice.isAbout(Coordinator.loggerName) ? [Coordinator.loggerName: call.api.logLevel.value.cinder] : [:]
  }

  init(_ service: ServiceResource, _ choice: LogChoice, _ answer: Result<LogSetting, StorageError>?) {
    binary = service.binary
    host = service.host
    let setting = try? answer?.get()
    let name = setting?.logger ?? LogSetting.agentLogger
    levels = setting.map { choice.isAbout(name) ? [name: $0.level.cinder] : [:] } ?? [:]
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
