import PumiceModel

/// How iscsiadm ended: iscsiadm(8), "EXIT STATUS", version 2.1.8.
enum ISCSIAdminStatus: Error, Sendable, Equatable, CustomStringConvertible {
  case success
  case code(Code)
  case unknown(Int32)

  enum Code: Int32, Sendable, CaseIterable {
    case generic = 1
    case sessionNotFound = 2
    case outOfMemory = 3
    case connectionFailed = 4
    case loginFailed = 5
    case database = 6
    case invalidArgument = 7
    case connectionTimeout = 8
    case internalError = 9
    case logoutFailed = 10
    case answerTimeout = 11
    case transportNotLoaded = 12
    case noAccess = 13
    case transportCapability = 14
    case sessionExists = 15
    case invalidRequest = 16
    case nameServiceMissing = 17
    case daemonTalk = 18
    case fatalLogin = 19
    case daemonAway = 20
    case nothingFound = 21
    case sysfsLookup = 22
    case hostNotFound = 23
    case notAuthorized = 24
    case nameServiceQuery = 25
    case nameServiceRegistration = 26
    case unsupported = 27
    case busy = 28
    case again = 29
    case unknownDiscovery = 30
    case childTerminated = 31
    case notConnected = 32
  }

  /// What the exit code says or, when one call was about several records, what was said of this interface.
  init(_ outcome: CommandRunner.Outcome, about interface: String?) {
    let own = interface.flatMap { Self.reported(of: $0, in: outcome.standardError) }
    guard let number = own ?? outcome.exitCode else {
      self = .unknown(-1)
      return
    }
    self = number == 0 ? .success : Code(rawValue: number).map { .code($0) } ?? .unknown(number)
  }

  /// Reads `Could not login to [iface: I, target: …` with the line after it, `initiator reported error (24 - …)`.
  private static func reported(of interface: String, in text: String) -> Int32? {
    let lines = text.split(separator: "\n")
    guard let first = lines.firstIndex(where: { $0.contains("[iface: \(interface),") && $0.contains("Could not") }),
      lines.indices.contains(first + 1),
      let number = lines[first + 1].split(separator: "reported error (").last?.prefix(while: \.isNumber)
    else { return nil }
    return Int32(number)
  }

  /// Whether there is a session now: a new one, or one that was there.
  var isLoggedIn: Bool { self == .success || self == .code(.sessionExists) }

  /// Whether there is none now, as far as iscsiadm can say.
  var isLoggedOut: Bool {
    switch self {
    case .success, .code(.sessionNotFound), .code(.nothingFound), .code(.sysfsLookup): true
    case .code, .unknown: false
    }
  }

  var description: String {
    switch self {
    case .success: "exit status 0"
    case .code(let code): "exit status \(code.rawValue)"
    case .unknown(let number): "exit status \(number)"
    }
  }

  func error(_ attempt: String, _ outcome: CommandRunner.Outcome) -> StorageError {
    switch self {
    case .success: StorageError(.failed, "\(attempt) failed, although iscsiadm reports success.")
    case .code(let code): StorageError(code.storageCode, "\(attempt) failed: \(code.sentence).", cause: self)
    case .unknown(let number):
      StorageError(.failed, "\(attempt) failed: iscsiadm ended with \(number): \(outcome.standardError.prefix(500))")
    }
  }
}

extension ISCSIAdminStatus.Code {
  var storageCode: StorageError.Code {
    switch self {
    case .notAuthorized, .noAccess: .forbidden
    // Mostly a target that does not know this initiator, or is not there.
    case .fatalLogin: .notFound
    case .transportNotLoaded, .nameServiceMissing: .missingPart
    case .unsupported, .transportCapability: .unsupported
    case .invalidArgument, .invalidRequest, .unknownDiscovery: .failed
    // The daemon may be about to start, and a target may be about to come back: the caller's patience decides.
    case .generic, .sessionNotFound, .outOfMemory, .connectionFailed, .loginFailed, .database, .connectionTimeout,
      .internalError, .logoutFailed, .answerTimeout, .sessionExists, .daemonTalk, .daemonAway,
      .nothingFound, .sysfsLookup, .hostNotFound, .nameServiceQuery, .nameServiceRegistration, .busy, .again,
      .childTerminated, .notConnected:
      .unavailable
    }
  }

  var sentence: String {
    switch self {
    case .generic: "iscsiadm has no better word than \"error\""
    case .sessionNotFound: "there is no such session"
    case .outOfMemory: "iscsiadm is out of memory"
    case .connectionFailed: "the portal can't be reached"
    case .loginFailed: "the target did not let this node in"
    case .database: "open-iscsi could not read its node records"
    case .invalidArgument: "iscsiadm found a mistake in its arguments"
    case .connectionTimeout: "the portal did not answer in time"
    case .internalError: "iscsid or the kernel failed"
    case .logoutFailed: "the logout failed"
    case .answerTimeout: "the target did not answer in time"
    case .transportNotLoaded: "the kernel module iscsi_tcp is missing"
    case .noAccess: "this user may not speak to iscsid"
    case .transportCapability: "the transport can't do that"
    case .sessionExists: "there is such a session already"
    case .invalidRequest: "iscsid did not understand the request"
    case .nameServiceMissing: "iSNS is not supported"
    case .daemonTalk: "the talk with iscsid was cut off"
    case .fatalLogin:
      "there is no such target, or it refuses this initiator for good, or it does not know the secret that it should show"
    case .daemonAway: "iscsid does not run, and could not be started. Start it: systemctl start iscsid"
    case .nothingFound: "open-iscsi has no such record or session"
    case .sysfsLookup: "the session is not in sysfs"
    case .hostNotFound: "there is no such SCSI host"
    case .notAuthorized: "the target accepts neither this initiator's name nor its CHAP secret"
    case .nameServiceQuery: "the iSNS query failed"
    case .nameServiceRegistration: "the iSNS registration failed"
    case .unsupported: "the operation is not supported"
    case .busy: "the device is in use"
    case .again: "it may work later"
    case .unknownDiscovery: "the type of discovery is not known"
    case .childTerminated: "a child process was terminated"
    case .notConnected: "the session is not connected"
    }
  }
}
