import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization

@testable import pumice

/// A coordinator that answers as it was told: the answers to one call follow each other, and the last one stays.
final class ScriptedCoordinator: Sendable {
  struct Call: Sendable, Equatable {
    let line: String
    let body: JSONValue
    let token: String?
    let version: String?
  }

  struct Answer: Sendable {
    var status = 200
    var body: String
    var headers: [String: String] = [:]

    static func json(_ body: JSONValue, status: Int = 200) -> Answer { Answer(status: status, body: body.pretty) }

    static func error(_ status: Int, _ kind: String, _ message: String) -> Answer {
      .json(
        [kind: ["code": .integer(Int64(status)), "message": .string(message)]] as [String: JSONValue], status: status)
    }

    static func json(_ members: [String: JSONValue], status: Int = 200) -> Answer {
      .json(.object(members), status: status)
    }
  }

  private struct State {
    var script: [String: [Answer]] = [:]
    var calls: [Call] = []
  }

  private let state = Mutex(State())

  init(_ script: [String: [Answer]]) { state.withLock { $0.script = script } }

  var calls: [Call] { state.withLock { $0.calls } }

  /// Serves while `body` runs, which gets the URL.
  func serve<Value: Sendable>(_ body: @Sendable (String) async throws -> Value) async throws -> Value {
    let application = Application(
      responder: CallbackResponder { (request: Request, context: BasicRequestContext) in
        try await self.answer(request, context)
      },
      configuration: .init(address: .hostname("127.0.0.1", port: 0)))
    return try await application.test(.live) { client in
      try await body("http://127.0.0.1:\(client.port ?? 0)")
    }
  }

  private func answer(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let bytes = try await request.body.collect(upTo: 1 << 20)
    let line = "\(request.method.rawValue) \(request.uri.string)"
    let call = Call(
      line: line, body: JSONValue(parsing: String(buffer: bytes)) ?? .null,
      token: HTTPField.Name("X-Auth-Token").flatMap { request.headers[$0] },
      version: HTTPField.Name("OpenStack-API-Version").flatMap { request.headers[$0] })
    let answer = state.withLock { state in
      state.calls.append(call)
      guard let answers = state.script[line], let first = answers.first else {
        return Answer.error(404, "itemNotFound", "No script for \(line).")
      }
      if answers.count > 1 { state.script[line] = Array(answers.dropFirst()) }
      return first
    }
    var headers = HTTPFields()
    for (name, value) in answer.headers {
      if let name = HTTPField.Name(name) { headers[name] = value }
    }
    return Response(
      status: .init(code: answer.status), headers: headers,
      body: answer.body.isEmpty ? .init() : .init(byteBuffer: ByteBuffer(string: answer.body)))
  }
}

/// What one command line did.
struct CommandRun: Sendable {
  let status: ExitStatus
  let output: String
  let errors: String
  let progress: [String]

  /// Runs it against `url`, with what it prints caught.
  static func pumice(_ arguments: [String], url: String? = nil) async -> CommandRun {
    let transcript = Transcript()
    let console = Console(
      write: { text in transcript.lines.withLock { $0.output.append(text) } },
      complain: { text in transcript.lines.withLock { $0.errors.append(text) } },
      showProgress: { text in transcript.lines.withLock { if let text { $0.progress.append(text) } } })
    let status = await Console.$current.withValue(console) {
      await Pumice.execute(arguments + (url.map { ["--url", $0, "--project", "p"] } ?? []))
    }
    return transcript.lines.withLock { lines in
      CommandRun(
        status: status, output: lines.output.joined(separator: "\n"), errors: lines.errors.joined(separator: "\n"),
        progress: lines.progress)
    }
  }

  private final class Transcript: Sendable {
    let lines = Mutex((output: [String](), errors: [String](), progress: [String]()))
  }
}

extension CommandRun {
  /// Runs one command line against a coordinator that answers as scripted.
  static func scripted(
    _ arguments: [String], against script: [String: [ScriptedCoordinator.Answer]]
  ) async throws -> (CommandRun, [ScriptedCoordinator.Call]) {
    let coordinator = ScriptedCoordinator(script)
    let run = try await coordinator.serve { url in await pumice(arguments, url: url) }
    return (run, coordinator.calls)
  }
}

/// The same, with the command line's words one by one.
func run(
  _ arguments: String..., against script: [String: [ScriptedCoordinator.Answer]]
) async throws -> (CommandRun, [ScriptedCoordinator.Call]) {
  try await CommandRun.scripted(arguments, against: script)
}
