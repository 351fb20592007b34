import HTTPTypes
import Hummingbird
import NIOCore
import PumiceModel

extension RequestFields {
  /// How large a body may be.
  static let bodyLimit = 1 << 20

  /// The body of a request, which must be one JSON object.
  static func body(of request: Request) async throws -> RequestFields {
    if let type = request.headers[.contentType], !Self.isJSON(type) { throw APIError.unsupportedMediaType(type) }
    if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > bodyLimit {
      throw APIError.bodyTooLarge
    }
    let bytes: ByteBuffer
    do {
      bytes = try await request.body.collect(upTo: bodyLimit)
    } catch is NIOTooManyBytesError {
      throw APIError.bodyTooLarge
    } catch {
      throw StorageError.invalid("body", "could not be read: it is malformed or ended early.")
    }
    guard bytes.readableBytes > 0 else { throw StorageError.invalid("body", "is required.") }
    let value = try bytes.withUnsafeReadableBytes { try JSONParser.parse($0.bindMemory(to: UInt8.self)) }
    guard case .object(let values) = value else {
      throw StorageError.invalid("body", "must be a JSON object, not \(value.excerpt).")
    }
    return RequestFields(values)
  }

  private static func isJSON(_ type: String) -> Bool {
    let type = type.prefix { $0 != ";" }.trimmingPrefix(" ").lowercased()
    return type.hasPrefix("application/json") && type.dropFirst("application/json".count).allSatisfy { $0 == " " }
  }
}
