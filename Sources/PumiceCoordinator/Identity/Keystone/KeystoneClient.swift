import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOSSL
import PumiceModel
import PumiceWire

/// Asks a Keystone about tokens, as a user of its own that may (role `service` or `admin`).
///
/// Identity API v3: `POST /v3/auth/tokens` gets that user in, `GET /v3/auth/tokens` says what another token is worth: 200, 404
/// for one that is worth nothing, 401 when it is our own that is. With `allow_expired=1`, tokens are known for
/// `[token] allow_expired_window` beyond their end (two days by default).
actor KeystoneClient: TokenAuthority {
  struct Account: Sendable, Equatable {
    /// Such as `http://keystone:5000/v3`.
    let url: String
    let user: String
    let password: String
    let project: String
    /// The name of the domain that both are in.
    let domain: String
  }

  private static let deadline = TimeAmount.seconds(10)
  private static let bodyLimit = 8 << 20

  private let account: Account
  private let client: HTTPClient
  /// Ours; `nil` before we are in.
  private var own: String?
  private var isEntering = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  /// - Parameter authority: The PEM file with the certificates that Keystone is trusted by; the system's if `nil`.
  init(_ account: Account, authority: String? = nil) {
    self.account = account
    var tls = TLSConfiguration.makeClientConfiguration()
    if let authority { tls.trustRoots = .file(authority) }
    client = HTTPClient(
      eventLoopGroupProvider: .singleton,
      configuration: HTTPClient.Configuration(
        tlsConfiguration: tls, redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5))))
  }

  deinit { client.shutdown { _ in } }

  func token(_ text: String, allowsExpired: Bool) async throws(StorageError) -> KeystoneToken? {
    let url = account.url + "/auth/tokens?nocatalog" + (allowsExpired ? "&allow_expired=1" : "")
    var isFirstTry = true
    while true {
      let own = try await ownToken()
      var request = HTTPClientRequest(url: url)
      request.headers.add(name: "x-auth-token", value: own)
      request.headers.add(name: "x-subject-token", value: text)
      let (status, _, body) = try await exchange(request)
      switch status {
      case 200: return try KeystoneToken(body.readableBytesView)
      case 404: return nil
      // Our own token came to its end, or Keystone forgot its keys.
      case 401 where isFirstTry:
        isFirstTry = false
        if self.own == own { self.own = nil }
      case 401, 403:
        throw StorageError(
          .unavailable,
          "\(name) does not let its user '\(account.user)' check tokens; it needs the role service or admin.")
      default: throw StorageError(.unavailable, "\(name) answered \(status) when it was asked about a token.")
      }
    }
  }

  private nonisolated var name: String { "Keystone at \(account.url)" }

  /// Gets in once for all who wait for it.
  private func ownToken() async throws(StorageError) -> String {
    while isEntering { await withCheckedContinuation { waiting.append($0) } }
    if let own { return own }
    isEntering = true
    defer {
      isEntering = false
      for continuation in waiting { continuation.resume() }
      waiting = []
    }
    var request = HTTPClientRequest(url: account.url + "/auth/tokens?nocatalog")
    request.method = .POST
    request.headers.add(name: "content-type", value: "application/json")
    request.body = .bytes(ByteBuffer(bytes: try WireJSON.encode(Entry(account))))
    let (status, headers, _) = try await exchange(request)
    guard status == 201, let token = headers.first(name: "x-subject-token") else {
      throw StorageError(
        .unavailable, "\(name) does not let its user '\(account.user)' in: it answered \(status).")
    }
    own = token
    return token
  }

  private func exchange(_ request: HTTPClientRequest) async throws(StorageError) -> (UInt, HTTPHeaders, ByteBuffer) {
    do {
      let response = try await client.execute(request, timeout: Self.deadline)
      return (response.status.code, response.headers, try await response.body.collect(upTo: Self.bodyLimit))
    } catch is CancellationError {
      throw StorageError(.unavailable, "Asking \(name) was cancelled.")
    } catch {
      // Neither tokens nor the password get into a message.
      throw StorageError(.unavailable, "\(name) can't be reached: \(error)", cause: error)
    }
  }

  private struct Entry: Encodable {
    struct Name: Encodable { let name: String }
    struct User: Encodable {
      let name: String
      let domain: Name
      let password: String
    }
    struct Project: Encodable {
      let name: String
      let domain: Name
    }
    struct Identity: Encodable {
      let methods = ["password"]
      let password: [String: User]
    }
    struct Auth: Encodable {
      let identity: Identity
      let scope: [String: Project]
    }

    let auth: Auth

    init(_ account: Account) {
      let domain = Name(name: account.domain)
      auth = Auth(
        identity: Identity(
          password: ["user": User(name: account.user, domain: domain, password: account.password)]),
        scope: ["project": Project(name: account.project, domain: domain)])
    }
  }
}
