import PumiceModel

/// tgtd's error codes (`enum tgtadm_errno` in tgt's `usr/tgtadm_error.h`, 1.0.85).
enum TGTErrorCode: UInt32 {
  case unknown = 1
  case outOfMemory
  case noDriver
  case noTarget
  case noLogicalUnit
  case noSession
  case noConnection
  case noBinding
  case targetExists
  case logicalUnitExists
  case bindingExists
  case aclExists
  case noACL
  case userExists
  case noUser
  case tooManyUsers
  case invalidRequest
  case outgoingAccountExists
  case targetActive
  case logicalUnitActive
  case driverActive
  case unsupportedOperation
  case unknownParameter
  case preventRemoval

  var sentence: String {
    switch self {
    case .unknown: "unknown error"
    case .outOfMemory: "it is out of memory"
    case .noDriver: "its iSCSI driver is not running"
    case .noTarget: "there is no such target"
    case .noLogicalUnit: "there is no such logical unit"
    case .noSession: "there is no such session"
    case .noConnection: "there is no such connection"
    case .noBinding: "there is no such binding"
    case .targetExists: "the target exists already"
    case .logicalUnitExists: "the logical unit exists already"
    case .bindingExists: "the binding exists already"
    case .aclExists: "the initiator is admitted already"
    case .noACL: "the initiator is not admitted"
    case .userExists: "the account exists already"
    case .noUser: "there is no such account"
    case .tooManyUsers: "it has too many accounts"
    case .invalidRequest: "the request is invalid, or the file can't be opened"
    case .outgoingAccountExists: "the target has an outgoing account already"
    case .targetActive: "the target still has sessions"
    case .logicalUnitActive: "the logical unit still has commands under way"
    case .driverActive: "its driver is busy"
    case .unsupportedOperation: "it does not know this operation"
    case .unknownParameter: "it does not know a parameter"
    case .preventRemoval: "an initiator prevents the removal of the medium"
    }
  }

  var storageCode: StorageError.Code {
    switch self {
    case .noTarget, .noLogicalUnit, .noSession, .noConnection, .noBinding, .noACL, .noUser: .notFound
    case .targetExists, .logicalUnitExists, .bindingExists, .aclExists, .userExists, .outgoingAccountExists: .conflict
    case .targetActive, .logicalUnitActive, .driverActive, .preventRemoval: .inUse
    case .unsupportedOperation, .unknownParameter: .unsupported
    case .noDriver: .missingPart
    case .outOfMemory, .tooManyUsers: .unavailable
    case .unknown, .invalidRequest: .failed
    }
  }
}

/// What tgtd refused, with its own code beside the sentence.
struct TGTError: Error {
  /// The number tgtd gave.
  let number: UInt32
  var code: TGTErrorCode? { TGTErrorCode(rawValue: number) }

  func storageError(_ attempt: String) -> StorageError {
    StorageError(
      code?.storageCode ?? .failed,
      "\(attempt) failed: tgtd says that \(code?.sentence ?? "error \(number) occurred").",
      cause: self)
  }
}
