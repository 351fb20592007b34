import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// A plain client of the coordinator's HTTP API, as any user could write it.
public struct API: Sendable {
  public let url: String
  public let project: String
  public let token: String?
  /// Of another service, which vouches for the requests.
  public let serviceToken: String?

  /// What the coordinator said when it did not do what was asked.
  public struct Refusal: Error, CustomStringConvertible {
    public let status: Int
    public let body: String
    public let description: String
  }

  public init(url: String, project: String = "demo", token: String? = nil, serviceToken: String? = nil) {
    self.url = url
    self.project = project
    self.token = token
    self.serviceToken = serviceToken
  }

  public func get(_ path: String) async throws -> JSON { try await send(.GET, path) }

  @discardableResult
  public func post(_ path: String, _ body: JSON) async throws -> JSON { try await send(.POST, path, body) }

  @discardableResult
  public func put(_ path: String, _ body: JSON) async throws -> JSON { try await send(.PUT, path, body) }

  public func delete(_ path: String) async throws { _ = try await send(.DELETE, path) }

  /// Throws `Refusal` unless the answer is a success.
  private func send(_ method: HTTPMethod, _ path: String, _ body: JSON? = nil) async throws -> JSON {
    var request = HTTPClientRequest(url: url + path)
    request.method = method
    request.headers.add(name: "Accept", value: "application/json")
    request.headers.add(name: "X-Project-Id", value: project)
    // From 3.42 on a volume may grow while it is attached, and from 2.60 on several instances may have it.
    request.headers.add(name: "OpenStack-API-Version", value: "volume 3.42, compute 2.60")
    if let token { request.headers.add(name: "X-Auth-Token", value: token) }
    if let serviceToken { request.headers.add(name: "X-Service-Token", value: serviceToken) }
    if let body {
      request.headers.add(name: "Content-Type", value: "application/json")
      request.body = .bytes(Array(try JSONEncoder().encode(body)))
    }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
    let data = Data(try await response.body.collect(upTo: 64 << 20).readableBytesView)
    guard (200..<300).contains(response.status.code) else {
      let text = String(decoding: data, as: UTF8.self)
      throw Refusal(
        status: Int(response.status.code), body: text,
        description: "\(method) \(path) answered \(response.status.code): \(text)")
    }
    return data.isEmpty ? .null : try JSONDecoder().decode(JSON.self, from: data)
  }
}
