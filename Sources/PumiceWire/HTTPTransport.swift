import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOSSL
import PumiceModel

/// The connections of one process to the other daemons. Every client of the process shares one.
///
/// They are closed when the last copy goes, or by `shutdown`, which waits for that.
public struct HTTPTransport: Sendable {
  /// Whom a call goes to, for messages, and how it gets in.
  struct Peer: Sendable {
    let name: String
    /// Such as `http://10.0.0.7:9776`.
    let address: String
    let token: String
    let deadline: Duration
  }

  private struct Answer {
    let status: Int
    let body: ByteBuffer
  }

  private static let bodyLimit = 256 << 20
  private let pool: Pool
  private var client: HTTPClient { pool.client }

  /// AsyncHTTPClient traps when a client goes that was not shut down, as on the way out of a failed start.
  private final class Pool: Sendable {
    let client: HTTPClient
    init(_ client: HTTPClient) { self.client = client }
    deinit { client.shutdown { _ in } }
  }

  /// - Parameter authority: The PEM file with the certificates that `https` peers are trusted by; the system's if `nil`.
  public init(authority: String? = nil) {
    var tls = TLSConfiguration.makeClientConfiguration()
    if let authority { tls.trustRoots = .file(authority) }
    var configuration = HTTPClient.Configuration(
      tlsConfiguration: tls, redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5)))
    configuration.httpVersion = .http1Only
    configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
    // A peer that is away shall show at once, not at the deadline.
    configuration.connectionPool.retryConnectionEstablishment = false
    pool = Pool(HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration))
  }

  public func shutdown() async { try? await client.shutdown() }

  // MARK: Calls

  func get<Response: Decodable>(
    _ path: String, of peer: Peer, as response: Response.Type
  ) async throws(StorageError) -> Response {
    try decode(response, try await exchange(.GET, path, nil, to: peer), from: peer)
  }

  func send<Response: Decodable>(
    _ method: HTTPMethod, _ path: String, _ body: some Encodable, to peer: Peer, expecting response: Response.Type
  ) async throws(StorageError) -> Response {
    try decode(response, try await exchange(method, path, try WireJSON.encode(body), to: peer), from: peer)
  }

  func send(
    _ method: HTTPMethod, _ path: String, _ body: some Encodable, to peer: Peer
  ) async throws(StorageError) {
    _ = try await exchange(method, path, try WireJSON.encode(body), to: peer)
  }

  private func exchange(
    _ method: HTTPMethod, _ path: String, _ body: [UInt8]?, to peer: Peer
  ) async throws(StorageError) -> Answer {
    var request = HTTPClientRequest(url: peer.address + path)
    request.method = method
    request.headers.add(name: "authorization", value: "Bearer \(peer.token)")
    if let body {
      request.headers.add(name: "content-type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: body))
    }
    let answer = try await execute(request, to: peer)
    guard 200..<300 ~= answer.status else {
      throw Self.failure(answer, "\(method) \(path)", peer)
    }
    return answer
  }

  private func execute(_ request: HTTPClientRequest, to peer: Peer) async throws(StorageError) -> Answer {
    let deadline = NIODeadline.now() + TimeAmount(peer.deadline)
    var isFirstTry = true
    while true {
      do {
        let response = try await client.execute(request, deadline: deadline)
        let body = try await response.body.collect(upTo: Self.bodyLimit)
        return Answer(status: Int(response.status.code), body: body)
      } catch let error as HTTPClientError where error == .remoteConnectionClosed && isFirstTry {
        // The peer restarted, or closed an idle connection as it was taken. Every call may be repeated.
        isFirstTry = false
      } catch {
        throw Self.failure(error, "\(request.method) \(request.url)", peer)
      }
    }
  }

  private func decode<Response: Decodable>(
    _ type: Response.Type, _ answer: Answer, from peer: Peer
  ) throws(StorageError) -> Response {
    do {
      return try WireJSON.decode(type, from: answer.body.readableBytesView)
    } catch {
      throw StorageError(
        .failed, "\(peer.name) at \(peer.address) gave an answer that makes no sense: \(error.message)")
    }
  }

  // MARK: Failures. Neither the token nor a body ever gets into a message.

  private static func failure(_ answer: Answer, _ call: String, _ peer: Peer) -> StorageError {
    if let body = try? WireJSON.decode(ErrorBody.self, from: answer.body.readableBytesView) {
      let error = body.storageError(status: answer.status)
      guard error.code == .unauthenticated || error.code == .forbidden else { return error }
      // The peer has refused us, not the user on whose behalf we call.
      return StorageError(.failed, "\(peer.name) at \(peer.address) refused our token: \(error.message)")
    }
    return StorageError(
      StorageError.Code(httpStatus: answer.status),
      "\(call) on \(peer.name) at \(peer.address) gave HTTP status \(answer.status).")
  }

  private static func failure(_ error: any Error, _ call: String, _ peer: Peer) -> StorageError {
    if error is CancellationError {
      return StorageError(.unavailable, "\(call) on \(peer.name) was cancelled.")
    }
    if let error = error as? HTTPClientError {
      switch error {
      case .deadlineExceeded, .readTimeout, .writeTimeout:
        return StorageError(.timeout, "\(call) on \(peer.name) was not answered within \(peer.deadline).")
      case .cancelled: return StorageError(.unavailable, "\(call) on \(peer.name) was cancelled.")
      case .invalidURL, .emptyHost, .emptyScheme:
        return StorageError(.invalid, "\(peer.name) has an address that is no URL: \(peer.address).")
      default:
        return StorageError(.unavailable, "\(call) on \(peer.name) failed: \(error.shortDescription).")
      }
    }
    let reason =
      switch error {
      case let error as IOError: "\(error)"
      case is NIOSSLError: "its certificate was not accepted (\(error))"
      default: "\(error)"
      }
    return StorageError(.unavailable, "\(call) on \(peer.name) failed: \(reason).")
  }
}

/// Leaves the token out, wherever it is printed.
extension HTTPTransport.Peer: CustomStringConvertible, CustomReflectable {
  var description: String { "\(name) at \(address)" }
  var customMirror: Mirror { Mirror(self, children: ["name": name, "address": address]) }
}
