import AsyncHTTPClient
import FoundationEssentials
import NIOCore
import NIOHTTP1
import PumiceModel

/// Speaks HTTP with one coordinator, in the name of one project.
struct CoordinatorClient: Sendable {
  let url: String
  let project: String
  let token: String?
  var requestTimeout: TimeAmount = .seconds(60)

  private static let bodyLimit = 256 << 20

  /// For the life of the process. A coordinator that refuses the connection is told at once, not after a minute of tries.
  private static let http = {
    var configuration = HTTPClient.Configuration()
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.timeout.connect = .seconds(5)
    configuration.redirectConfiguration = .disallow
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }()

  func get(_ path: APIPath) async throws -> JSONValue { try await send(.GET, path) }

  func post(_ path: APIPath, _ body: JSONValue) async throws -> JSONValue { try await send(.POST, path, body) }

  func put(_ path: APIPath, _ body: JSONValue) async throws -> JSONValue { try await send(.PUT, path, body) }

  func delete(_ path: APIPath) async throws { _ = try await send(.DELETE, path) }

  /// All pages of a Block Storage or Compute list, one after the other.
  func list(_ path: APIPath, _ key: String) async throws -> [JSONValue] {
    var items: [JSONValue] = []
    while true {
      let answer = try await get(items.last?["id"].string.map { path.adding("marker", $0) } ?? path)
      let page = answer[key].array
      items += page
      guard !page.isEmpty, answer["\(key)_links"].array.contains(where: { $0["rel"].string == "next" }) else {
        return items
      }
    }
  }

  /// The pages of a list until `limit` items are there.
  func list(_ path: APIPath, _ key: String, limit: Int) async throws -> [JSONValue] {
    Array(try await get(path.adding("limit", "\(limit)"))[key].array.prefix(limit))
  }

  private func send(_ method: HTTPMethod, _ path: APIPath, _ body: JSONValue? = nil) async throws -> JSONValue {
    var request = HTTPClientRequest(url: url + path.text(project: project))
    request.method = method
    request.headers.add(name: "accept", value: "application/json")
    request.headers.add(name: "user-agent", value: "pumice-cli")
    if let version = path.microversion {
      request.headers.add(name: "openstack-api-version", value: "\(path.service) \(version)")
    }
    if let token { request.headers.add(name: "x-auth-token", value: token) }
    if let body {
      request.headers.add(name: "content-type", value: "application/json")
      request.body = .bytes(Array(try JSONEncoder().encode(body)))
    }
    let status: HTTPResponseStatus
    let headers: HTTPHeaders
    let bytes: ByteBuffer
    do {
      let response = try await Self.http.execute(request, timeout: requestTimeout)
      (status, headers) = (response.status, response.headers)
      bytes = try await response.body.collect(upTo: Self.bodyLimit)
    } catch {
      throw CommandFailure(reaching: url, error)
    }
    let answer =
      bytes.readableBytes == 0 ? .null : try? JSONDecoder().decode(JSONValue.self, from: Data(bytes.readableBytesView))
    guard (200..<300).contains(status.code) else {
      throw CommandFailure(status: Int(status.code), headers: headers, body: answer ?? .null, path: path.path)
    }
    guard let answer else {
      throw CommandFailure(
        .failed, "\(url) answered something that is no JSON.", advice: "Is this the coordinator? See --url.")
    }
    return answer
  }
}

/// A path under the coordinator's URL, with its query.
struct APIPath: Sendable {
  /// Still with `{project}` in it.
  let path: String
  private(set) var query: [(name: String, value: String)] = []
  private(set) var service = "volume"
  var microversion: String?

  /// Each part is escaped, so that a name can't reach another resource.
  static func blockStorage(_ parts: String...) -> APIPath {
    APIPath(path: "/v3/{project}/" + parts.map(escape).joined(separator: "/"))
  }

  static func compute(_ parts: String...) -> APIPath {
    var path = APIPath(path: "/compute/v2.1/" + parts.map(escape).joined(separator: "/"))
    // Since 2.60 a volume may be attached to several instances.
    (path.service, path.microversion) = ("compute", "2.60")
    return path
  }

  static func admin(_ parts: String...) -> APIPath {
    APIPath(path: "/pumice/v1/" + parts.map(escape).joined(separator: "/"))
  }

  private init(path: String) { self.path = path }

  func adding(_ name: String, _ value: String) -> APIPath {
    var copy = self
    copy.query.append((name, value))
    return copy
  }

  func requiring(_ microversion: String) -> APIPath {
    var copy = self
    copy.microversion = microversion
    return copy
  }

  func text(project: String) -> String {
    let path =
      path.hasPrefix("/v3/{project}")
      ? "/v3/" + Self.escape(project) + path.dropFirst("/v3/{project}".count) : path
    if query.isEmpty { return path }
    return path + "?" + query.map { "\(Self.escape($0.name))=\(Self.escape($0.value))" }.joined(separator: "&")
  }

  /// Percent-encodes everything but the unreserved characters of RFC 3986; `.` and `..` as a whole too.
  static func escape(_ text: String) -> String {
    if text == "." || text == ".." { return text.utf8.map { _ in "%2E" }.joined() }
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        bytes.append(byte)
      default:
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
