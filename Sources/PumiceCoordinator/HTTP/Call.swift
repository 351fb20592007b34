import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import PumiceModel

/// One request as a route sees it: who calls, with which version, and what was sent.
struct Call: Sendable {
  let api: CoordinatorAPI
  let request: Request
  let context: APIContext
  let caller: Caller
  let version: Microversion
  let query: Query

  var tables: Tables { api.store.tables }
  var now: Timestamp { api.surroundings.now() }

  /// A part of the path, decoded.
  func parameter(_ name: String) throws -> String {
    guard let text = context.parameters.get(name)?.removingPercentEncoding else { throw APIError.noSuchRoute }
    return text
  }

  /// An identity in the path. What is no UUID names nothing that exists.
  func id<Kind>(_ name: String, ofA kind: String) throws -> Identifier<Kind> {
    let text = try parameter(name)
    guard let id = Identifier<Kind>(text) else {
      throw StorageError(.notFound, "\(kind) \(text.prefix(64)) could not be found.")
    }
    return id
  }

  /// The body, which must be one JSON object.
  func body() async throws -> RequestFields { try await RequestFields.body(of: request) }

  /// Where the client reaches us, for links: without a path.
  var baseURL: String { Self.baseURL(of: request, api: api) }

  static func baseURL(of request: Request, api: CoordinatorAPI) -> String {
    let authority = request.head.authority ?? ""
    let isPlain = !authority.isEmpty && authority.utf8.count <= 300 && authority.utf8.allSatisfy(isAuthorityByte)
    return "\(api.scheme)://\(isPlain ? authority : api.authority)"
  }

  private static func isAuthorityByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
      UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
      true
    default: false
    }
  }

  /// The link to the page that begins after this marker.
  func nextPage(after marker: String) -> Link {
    Link(rel: "next", href: baseURL + request.uri.path + "?" + query.text(setting: "marker", to: marker))
  }
}
