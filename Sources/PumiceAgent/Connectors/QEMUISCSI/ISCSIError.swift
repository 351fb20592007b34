import PumiceModel

/// Why a target did not let an initiator in: status class and detail of a login response (RFC 7143, 11.13.5), as libiscsi
/// puts them into its messages: "Authentication failure(513)".
enum ISCSILoginStatus: Int {
  case initiatorError = 0x0200
  case authenticationFailure = 0x0201
  case authorizationFailure = 0x0202
  case notFound = 0x0203
  case targetRemoved = 0x0204
  case unsupportedVersion = 0x0205
  case tooManyConnections = 0x0206
  case missingParameter = 0x0207
  case cannotIncludeInSession = 0x0208
  case sessionTypeNotSupported = 0x0209
  case sessionDoesNotExist = 0x020a
  case invalidDuringLogin = 0x020b
  case targetError = 0x0300
  case serviceUnavailable = 0x0301
  case outOfResources = 0x0302

  var storageCode: StorageError.Code {
    switch self {
    case .authenticationFailure, .authorizationFailure: .forbidden
    case .notFound, .targetRemoved: .notFound
    case .tooManyConnections, .targetError, .serviceUnavailable, .outOfResources: .unavailable
    case .unsupportedVersion, .sessionTypeNotSupported: .unsupported
    case .initiatorError, .missingParameter, .cannotIncludeInSession, .sessionDoesNotExist, .invalidDuringLogin: .failed
    }
  }

  var sentence: String {
    switch self {
    case .authenticationFailure: "the target does not accept the CHAP secret"
    case .authorizationFailure: "the target does not admit this initiator"
    case .notFound: "there is no such target"
    case .targetRemoved: "the target was removed"
    case .tooManyConnections: "the target has too many connections"
    case .targetError: "the target had an error"
    case .serviceUnavailable: "the target can't serve now"
    case .outOfResources: "the target is out of resources"
    case .unsupportedVersion: "the target speaks another version of iSCSI"
    case .sessionTypeNotSupported: "the target does not support this type of session"
    case .initiatorError, .missingParameter, .cannotIncludeInSession, .sessionDoesNotExist, .invalidDuringLogin:
      "the target found a mistake in the login"
    }
  }

  /// Reads the status that ends libiscsi's message of a failed login.
  init?(message: String) {
    guard let open = message.lastIndex(of: "("), message.hasSuffix(")"),
      let number = Int(message[open...].dropFirst().dropLast())
    else { return nil }
    self.init(rawValue: number)
  }
}

enum ISCSIError {
  /// A login that failed, with libiscsi's own words where the status says nothing. Never holds the secret.
  static func login(_ attempt: String, message: String) -> StorageError {
    if let status = ISCSILoginStatus(message: message) {
      return StorageError(status.storageCode, "\(attempt) failed: \(status.sentence).")
    }
    // What libiscsi says when the connection ends before an answer; tgtd hangs up on everybody while it has no target.
    if message.isEmpty || message.contains("reconnect") {
      return StorageError(.unavailable, "\(attempt) failed: the target hung up without an answer.")
    }
    return StorageError(.unavailable, "\(attempt) failed: \(message).")
  }

  /// A command that failed on a session that stood.
  static func command(_ attempt: String, message: String) -> StorageError {
    StorageError(.unavailable, "\(attempt) failed: \(message.isEmpty ? "the session has ended" : message).")
  }
}
