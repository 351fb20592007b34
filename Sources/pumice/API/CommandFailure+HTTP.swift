import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import PumiceModel

#if canImport(Glibc)
  import Glibc
#endif

extension CommandFailure {
  /// What an answer other than 2xx means.
  ///
  /// The coordinator names the code of its error in `X-Pumice-Error`; without that, as from a proxy, the status decides.
  init(status: Int, headers: HTTPHeaders, body: JSONValue, path: String) {
    let code =
      headers.first(name: "x-pumice-error").flatMap(StorageError.Code.init(rawValue:)) ?? Self.code(ofStatus: status)
    // Cinder's shape: one member, named after the kind of error.
    let details = body.object.values.first { $0["message"].string != nil } ?? body
    let message = details["message"].string ?? "The coordinator answered \(status) to \(path)."
    let advice: String? =
      switch code {
      case .unauthenticated: "Set PUMICE_TOKEN to a token of this coordinator."
      case .forbidden: "This token's role is not enough for it."
      case .busy, .unavailable: "Try again in a moment."
      default: nil
      }
    self.init(StorageError(code, message), advice: advice)
  }

  private static func code(ofStatus status: Int) -> StorageError.Code {
    switch status {
    case 401: .unauthenticated
    case 403: .forbidden
    case 404, 410: .notFound
    case 409: .conflict
    case 413: .overQuota
    case 408, 504: .timeout
    case 429, 502, 503: .unavailable
    case 501: .unsupported
    case 400..<500: .invalid
    default: .failed
    }
  }

  /// The coordinator did not answer at all.
  init(reaching url: String, _ error: any Error) {
    if error is CancellationError {
      self.init(.failed, "Cancelled.")
      return
    }
    switch error as? HTTPClientError {
    case .deadlineExceeded, .readTimeout, .writeTimeout:
      self.init(.timeout, "\(url) took too long to answer; it may still do what was asked.")
    case .invalidURL, .emptyHost, .emptyScheme:
      self.init(.usage, "\"\(url)\" is not a coordinator's URL.", advice: "Set --url or PUMICE_URL.")
    default:
      self.init(
        .unavailable, "Can't reach the coordinator at \(url): \(Self.reason(of: error)).",
        advice: "Is pumice-coordinator running there? Another place is named by --url or PUMICE_URL.")
    }
  }

  private static func reason(of error: any Error) -> String {
    if let connection = error as? NIOConnectionError {
      if let first = connection.connectionErrors.first?.error { return reason(of: first) }
      if connection.dnsAError != nil || connection.dnsAAAAError != nil { return "unknown host \(connection.host)" }
    }
    if let error = error as? IOError { return String(cString: strerror(error.errnoCode)).lowercased() }
    switch error as? HTTPClientError {
    case .connectTimeout: return "no answer"
    case .remoteConnectionClosed: return "it closed the connection"
    default: return "\(error)"
    }
  }
}
