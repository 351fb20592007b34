import Foundation
import HTTPTypes
import Hummingbird
import PumiceModel

extension Response {
  /// An answer with a JSON body.
  static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    json(ByteBuffer(bytes: try JSONBytes.encode(value)), status: status)
  }

  /// An answer whose JSON is encoded already.
  static func json(_ bytes: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: bytes))
  }

  static let accepted = Response(status: .accepted)
  static let noContent = Response(status: .noContent)

  /// An error as clients of OpenStack read it.
  static func failure(_ error: APIError) -> Response {
    var details: [String: ErrorDetail] = ["code": .number(error.status.code), "message": .text(error.message)]
    var headers: HTTPFields = [.contentType: "application/json", .errorCode: error.code.rawValue]
    if error.status == .contentTooLarge {
      details["retryAfter"] = .text("0")
      headers[.retryAfter] = "0"
    }
    if error.status == .unauthorized { headers[.wwwAuthenticate] = "X-Auth-Token" }
    let body = (try? JSONBytes.encode([error.key: details])) ?? []
    return Response(status: error.status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }
}

private enum ErrorDetail: Encodable {
  case number(Int)
  case text(String)

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .number(let number): try container.encode(number)
    case .text(let text): try container.encode(text)
    }
  }
}

/// JSON as all façades write it.
enum JSONBytes {
  static func encode(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return Array(try encoder.encode(value))
  }
}

/// A value that is written as `null` when it is not there, as OpenStack does, and not left out.
// swift-format-ignore: UseSynthesizedInitializer
@propertyWrapper
struct OrNull<Value: Encodable & Sendable>: Encodable, Sendable {
  var wrappedValue: Value?

  // Written out, since memberwise initializers of the structs around it do not find the synthesized one.
  init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
  }
}
