import PumiceModel

/// How the program ends. Scripts rely on the numbers: they never change their meaning.
enum ExitStatus: Int32, CaseIterable {
  case ok = 0
  case failed = 1
  case usage = 2
  case notFound = 3
  case conflict = 4
  case overQuota = 5
  case unavailable = 6
  case timeout = 7
  case denied = 8
  case noSpace = 9

  init(_ code: StorageError.Code) {
    switch code {
    case .invalid: self = .usage
    case .unauthenticated, .forbidden: self = .denied
    case .notFound: self = .notFound
    case .conflict, .inUse, .stale: self = .conflict
    case .overQuota: self = .overQuota
    case .noSpace: self = .noSpace
    case .busy, .unavailable: self = .unavailable
    case .timeout: self = .timeout
    case .failed, .unsupported, .missingPart, .wrongDevice: self = .failed
    }
  }

  var meaning: String {
    switch self {
    case .ok: "done"
    case .failed: "it failed; the error says why. Also: doctor found something"
    case .usage: "the command line, or a value in it, makes no sense"
    case .notFound: "there is no such volume, snapshot, instance, node or type"
    case .conflict: "its state does not allow this now, it is in use, or a name is ambiguous"
    case .overQuota: "a quota of the project says no"
    case .unavailable: "the coordinator, or a node, is away or busy; try again"
    case .timeout: "it was not done in time; it may still be done"
    case .denied: "the token is missing, wrong or not enough"
    case .noSpace: "no pool has room for it"
    }
  }

  /// For the help text.
  static var table: String {
    allCases.map { "  \($0.rawValue)  \($0.meaning)" }.joined(separator: "\n")
  }
}
