import HTTPTypes
import PumiceModel

/// An error as the OpenStack façades answer it: `{"itemNotFound": {"code": 404, "message": "…"}}`.
struct APIError: Error, Sendable {
  let status: HTTPResponse.Status
  /// The one member of the body, as Cinder and Nova name it.
  let key: String
  let message: String
  /// For our own programs, in the header `X-Pumice-Error`; several codes share a status.
  let code: StorageError.Code
}

extension APIError {
  /// The one place where the codes of errors become HTTP.
  ///
  /// A thing in the wrong state is 400, as in Cinder (its `InvalidVolume`); a `conflict` about a field is a clash of
  /// names, and 409 (`VolumeTypeExists`).
  init(_ error: StorageError) {
    let (status, key): (HTTPResponse.Status, String) =
      switch error.code {
      case .invalid, .inUse, .noSpace, .unsupported: (.badRequest, "badRequest")
      case .conflict: error.field == nil ? (.badRequest, "badRequest") : (.conflict, "conflictingRequest")
      case .stale, .wrongDevice: (.conflict, "conflictingRequest")
      case .unauthenticated: (.unauthorized, "unauthorized")
      case .forbidden: (.forbidden, "forbidden")
      case .notFound: (.notFound, "itemNotFound")
      case .overQuota: (.contentTooLarge, "overLimit")
      case .missingPart, .busy, .unavailable, .timeout: (.serviceUnavailable, "serviceUnavailable")
      case .failed: (.internalServerError, "computeFault")
      }
    var message = error.message
    if let field = error.field, !message.contains(field) { message = "\(field): \(message)" }
    self.init(status: status, key: key, message: message, code: error.code)
  }

  static func invalid(_ message: String) -> Self {
    Self(status: .badRequest, key: "badRequest", message: message, code: .invalid)
  }

  static func notAcceptable(_ message: String) -> Self {
    Self(status: .notAcceptable, key: "computeFault", message: message, code: .invalid)
  }

  static let bodyTooLarge = Self(
    status: .contentTooLarge, key: "overLimit", message: "The body of the request is too large.", code: .invalid)

  static func unsupportedMediaType(_ type: String) -> Self {
    Self(
      status: .unsupportedMediaType, key: "badMediaType",
      message: "Content-Type must be application/json, not \(type).", code: .invalid)
  }

  static let noSuchRoute = Self(
    status: .notFound, key: "itemNotFound", message: "The resource could not be found.", code: .notFound)
}
