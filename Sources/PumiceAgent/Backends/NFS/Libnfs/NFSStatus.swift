import PumiceModel

/// Why an NFS server refuses: a status of RFC 1813 (2.6, and 5.1.5 for mounting), by the end of its name.
enum NFSStatus: String, CaseIterable, Error {
  case notOwner = "PERM"
  case noEntry = "NOENT"
  case inputOutput = "IO"
  case noDevice = "NXIO"
  case accessDenied = "ACCES"
  case exists = "EXIST"
  case otherFileSystem = "XDEV"
  case unknownDevice = "NODEV"
  case noFolder = "NOTDIR"
  case isFolder = "ISDIR"
  case invalid = "INVAL"
  case tooLarge = "FBIG"
  case noSpace = "NOSPC"
  case readOnly = "ROFS"
  case tooManyLinks = "MLINK"
  case nameTooLong = "NAMETOOLONG"
  case notEmpty = "NOTEMPTY"
  case overQuota = "DQUOT"
  case stale = "STALE"
  case remote = "REMOTE"
  case badHandle = "BADHANDLE"
  case outOfStep = "NOT_SYNC"
  case badCookie = "BAD_COOKIE"
  case notSupported = "NOTSUPP"
  case tooSmall = "TOOSMALL"
  case serverFault = "SERVERFAULT"
  case badType = "BADTYPE"
  case tryLater = "JUKEBOX"

  /// Reads it from libnfs's words: "NFS: CREATE of /a failed with NFS3ERR_EXIST(-17)".
  ///
  /// The word counts and not the number, which is EIO or ERANGE for several of them. It stands last: the path before it may
  /// say anything.
  init?(message: String) {
    let words = message.split { !$0.isASCII || !($0.isLetter || $0.isNumber || $0 == "_") }
    guard let word = words.last(where: { $0.hasPrefix("NFS3ERR_") || $0.hasPrefix("MNT3ERR_") }) else { return nil }
    self.init(rawValue: String(word.dropFirst("NFS3ERR_".utf8.count)))
  }

  var storageCode: StorageError.Code {
    switch self {
    case .notOwner, .accessDenied, .readOnly: .forbidden
    case .noEntry: .notFound
    case .exists, .noFolder, .isFolder, .notEmpty, .otherFileSystem: .conflict
    case .tooLarge, .noSpace, .overQuota: .noSpace
    case .invalid, .nameTooLong: .invalid
    case .notSupported: .unsupported
    case .tryLater, .stale, .badHandle: .unavailable
    case .inputOutput, .noDevice, .unknownDevice, .tooManyLinks, .remote, .outOfStep, .badCookie, .tooSmall,
      .serverFault,
      .badType:
      .failed
    }
  }

  var sentence: String {
    switch self {
    case .notOwner: "the server does not allow it to this user"
    case .accessDenied: "the server denies access"
    case .readOnly: "the server exports it read-only"
    case .noEntry: "the server has no such file"
    case .exists: "there is one already"
    case .noFolder: "it is no folder"
    case .isFolder: "it is a folder"
    case .notEmpty: "the folder is not empty"
    case .otherFileSystem: "the two are on different file systems of the server"
    case .tooLarge: "the server's file system holds no file of that size"
    case .noSpace: "the server has no space left"
    case .overQuota: "the quota on the server is used up"
    case .invalid: "the server finds it invalid"
    case .nameTooLong: "the name is too long for the server"
    case .notSupported: "the server does not support it"
    case .tryLater: "the server asks to try it later"
    case .stale, .badHandle: "the server does not know the file any more (stale handle)"
    case .inputOutput: "the server had an input/output error"
    case .tooManyLinks: "the file has too many links"
    case .noDevice, .unknownDevice, .remote, .outOfStep, .badCookie, .tooSmall, .serverFault, .badType:
      "the server answers \(rawValue)"
    }
  }

  /// Whether a file handle is worth nothing: its file is gone, say, or the export was made anew.
  var isStale: Bool { self == .stale || self == .badHandle }
}
