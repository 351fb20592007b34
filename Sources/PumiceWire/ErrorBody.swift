public import PumiceModel

/// What a call that failed answers: `{"error": {"code": "noSpace", "message": "…", "field": null}}`.
public struct ErrorBody: Sendable, Equatable, Codable {
  public struct Details: Sendable, Equatable, Codable {
    /// A `StorageError.Code`; a newer peer may send one that is not known here.
    public let code: String
    public let message: String
    public let field: String?
  }

  public let error: Details

  public init(_ error: StorageError) {
    self.error = Details(code: error.code.rawValue, message: error.message, field: error.field)
  }

  /// The error as the peer threw it, but for its cause. A code that is not known here follows from the status.
  public func storageError(status: Int) -> StorageError {
    StorageError(
      StorageError.Code(rawValue: error.code) ?? StorageError.Code(httpStatus: status), error.message,
      field: error.field)
  }
}

extension StorageError.Code {
  /// The HTTP status that an answer with this code has.
  public var httpStatus: Int {
    switch self {
    case .invalid: 400
    case .unauthenticated: 401
    case .forbidden: 403
    case .notFound: 404
    case .conflict, .inUse, .wrongDevice: 409
    case .stale: 412
    case .overQuota: 413
    case .unsupported, .missingPart: 501
    case .busy: 429
    case .unavailable: 503
    case .timeout: 504
    case .noSpace: 507
    case .failed: 500
    }
  }

  /// The nearest code for an answer that carries none, from a proxy for instance.
  public init(httpStatus: Int) {
    self =
      switch httpStatus {
      case 401: .unauthenticated
      case 403: .forbidden
      case 404: .notFound
      case 409: .conflict
      case 412: .stale
      case 408, 504: .timeout
      case 429: .busy
      case 502, 503: .unavailable
      case 501: .unsupported
      case 507: .noSpace
      case 400..<500: .invalid
      default: .failed
      }
  }
}
