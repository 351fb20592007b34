import HTTPTypes
import HashTreeCollections
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import PumiceModel
import PumiceWire
import Synchronization
import Testing

@testable import PumiceCoordinator

/// A coordinator behind its router, with a store and agents in memory.
struct CoordinatorFixture: Sendable {
  static let joinToken = "join-token-of-the-tests"

  let api: CoordinatorAPI
  let client: any TestClientProtocol
  let nodes: [FakeNode]

  var tables: Tables { api.store.tables }

  /// Sends a request; a body goes as JSON unless the headers say otherwise.
  func send(
    _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, version: String? = nil, token: String? = nil,
    headers: [String: String] = [:]
  ) async throws -> Answer {
    try await send(
      method, path, bytes: body.map { ByteBuffer(string: $0) }, version: version, token: token, headers: headers)
  }

  func send(
    _ method: HTTPRequest.Method, _ path: String, bytes: ByteBuffer?, version: String? = nil, token: String? = nil,
    headers: [String: String] = [:]
  ) async throws -> Answer {
    var fields = HTTPFields()
    if bytes != nil { fields[.contentType] = "application/json" }
    if let version { fields[.apiVersion] = "volume \(version)" }
    if let token { fields[.authToken] = token }
    for (name, value) in headers {
      if let name = HTTPField.Name(name) { fields[name] = value }
    }
    return try await client.execute(uri: path, method: method, headers: fields, body: bytes) { Answer($0) }
  }

  func get(_ path: String, version: String? = nil, token: String? = nil) async throws -> Answer {
    try await send(.get, path, version: version, token: token)
  }

  /// Creates a volume and waits until it is there.
  @discardableResult
  func volume(_ name: String = "db", size: Int = 1, project: String = "demo", more: String = "") async throws
    -> VolumeID
  {
    let answer = try await send(
      .post, "/v3/\(project)/volumes", #"{"volume": {"size": \#(size), "name": "\#(name)"\#(more)}}"#)
    try #require(answer.status == 202, "\(answer.text)")
    let id = try #require(answer["volume"]["id"].string.flatMap { VolumeID($0) })
    try await until("volume \(name) is available") { $0.volumes[id]?.state == .available }
    return id
  }

  /// Takes a snapshot and waits until it is there.
  @discardableResult
  func snapshot(of volume: VolumeID, _ name: String = "", more: String = "", project: String = "demo") async throws
    -> SnapshotID
  {
    let answer = try await send(
      .post, "/v3/\(project)/snapshots",
      #"{"snapshot": {"volume_id": "\#(volume)", "name": "\#(name)"\#(more)}}"#)
    try #require(answer.status == 202, "\(answer.text)")
    let id = try #require(answer["snapshot"]["id"].string.flatMap { SnapshotID($0) })
    try await until("snapshot \(name) is available") { $0.snapshots[id]?.state == .available }
    return id
  }

  /// Waits, for at most 20 seconds, until the tables are so.
  func until(
    _ what: String, sourceLocation: SourceLocation = #_sourceLocation, _ condition: (Tables) -> Bool
  ) async throws {
    for _ in 0..<4000 {
      if condition(tables) { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("It did not come about in time that \(what).", sourceLocation: sourceLocation)
    throw CancellationError()
  }

  /// Reports anew for every node.
  func report() async throws {
    for node in nodes {
      let (report, policy, surroundings) = (node.currentReport, api.policy, api.surroundings)
      try await api.store.write { try $0.observe(report, policy: policy, at: surroundings.now()) }
    }
  }
}

/// What came back.
struct Answer: Sendable {
  let status: Int
  let headers: HTTPFields
  let text: String
  let json: JSONValue

  init(_ response: TestResponse) {
    status = response.status.code
    headers = response.headers
    text = String(buffer: response.body)
    json = Array(text.utf8).withUnsafeBufferPointer { try? JSONParser.parse($0) } ?? .null
  }

  subscript(key: String) -> JSONValue { json[key] }

  /// The message of an error in Cinder's shape.
  var message: String { error?.message ?? text }

  var error: (key: String, code: Int?, message: String)? {
    guard case .object(let members) = json, members.count == 1, let (key, details) = members.first,
      let message = details["message"].string
    else { return nil }
    return (key, details["code"].int, message)
  }
}

extension JSONValue {
  subscript(key: String) -> JSONValue {
    if case .object(let values) = self { values[key] ?? .null } else { .null }
  }

  subscript(index: Int) -> JSONValue {
    if case .array(let values) = self, values.indices.contains(index) { values[index] } else { .null }
  }

  var string: String? { if case .string(let text) = self { text } else { nil } }
  var int: Int? { if case .integer(let number) = self { number } else { nil } }
  var array: [JSONValue] { if case .array(let values) = self { values } else { [] } }
  var object: [String: JSONValue] { if case .object(let values) = self { values } else { [:] } }
}

/// Runs the body with a coordinator whose nodes have reported, and ends it afterwards.
///
/// Its clock goes on by at least a millisecond with every look at it, so that what comes later is later.
func withCoordinator(
  tokens: [TokenFile.Entry]? = nil, mode: Authenticator.Mode? = nil, nodes: [FakeNode] = [FakeNode("n1")],
  isReconciled: Bool = true, _ body: @escaping @Sendable (CoordinatorFixture) async throws -> Void
) async throws {
  let start = Timestamp.start
  let clock = TickingClock(start)
  let surroundings = Surroundings(
    now: { clock.now() },
    sleep: { try await Task.sleep(for: $0) }, dice: SystemRandomNumberGenerator())
  let store = try await Store.open(InMemoryJournal())
  let policy = Policy(startedAt: Timestamp(milliseconds: start.milliseconds - 3_600_000))
  let fleet = FakeFleet(nodes: nodes)
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  let watch = NodeWatch(store: store, directory: fleet, policy: policy, surroundings: surroundings, logger: logger)
  let reconciler = Reconciler(
    store: store, directory: fleet, policy: policy, surroundings: surroundings, logger: logger)
  let api = CoordinatorAPI(
    store: store, policy: policy, surroundings: surroundings,
    authenticator: Authenticator(mode: mode ?? tokens.map { .tokens($0) } ?? .none),
    joinToken: CoordinatorFixture.joinToken,
    watch: watch)
  try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask { try await store.run() }
    if isReconciled { group.addTask { try await reconciler.run() } }
    try await api.bootstrap()
    let application = Application(responder: api.router().buildResponder(), logger: logger)
    try await application.test(.router) { client in
      let fixture = CoordinatorFixture(api: api, client: client, nodes: nodes)
      try await fixture.report()
      try await body(fixture)
    }
    group.cancelAll()
  }
}

/// Goes with the real one, but never stands still.
private final class TickingClock: Sendable {
  private let last: Mutex<Timestamp>
  private let start: Timestamp
  private let began = ContinuousClock.now

  init(_ start: Timestamp) {
    self.start = start
    last = Mutex(start)
  }

  func now() -> Timestamp {
    last.withLock { last in
      last = max(last + .milliseconds(1), start + (ContinuousClock.now - began))
      return last
    }
  }
}
