import PumiceModel

/// Why a share was not mounted, by what mount(8) and mount.nfs(8) of nfs-utils 2.6 say: the exit status is 32 for all of them.
enum MountError: Error, Sendable, CaseIterable {
  case versionNotSupported
  case accessDenied
  case notThere
  case notAFolder
  case unknownHost
  case nameServiceAway
  case refused
  case unreachable
  case late
  case busy
  case stale
  case wrongOption
  case noHelper
  case noKernelModule
  case noLockDaemon
  case notAllowed

  /// `nil` when the words are none that we know. Whoever is asked first of two that fit is meant.
  init?(_ text: String) {
    guard let found = Self.allCases.first(where: { error in error.words.contains { text.contains($0) } }) else {
      return nil
    }
    self = found
  }

  /// None of them fits into a share's name, which has no spaces.
  private var words: [String] {
    switch self {
    case .versionNotSupported:
      ["Protocol not supported", "requested NFS version or transport protocol is not supported"]
    case .accessDenied: ["access denied by server"]
    case .notThere: ["reason given by server: No such file or directory"]
    case .notAFolder: ["is not a directory", "Not a directory"]
    case .unknownHost: ["Name or service not known", "No address associated with hostname", "Unknown host"]
    // What mount.nfs says for EAI_AGAIN.
    case .nameServiceAway: ["Temporary failure in name resolution", "Resource temporarily unavailable"]
    case .refused: ["Connection refused", "Connection reset by peer", "Program not registered"]
    case .unreachable: ["No route to host", "Network is unreachable", "Host is down", "Network is down"]
    case .late: ["Connection timed out", "RPC: Timed out"]
    case .busy: ["is busy or already mounted", "Device or resource busy", "target is busy", "device is busy"]
    case .stale: ["Stale file handle"]
    case .wrongOption: ["an incorrect mount option was specified", "Invalid argument", "unrecognized mount option"]
    case .noHelper: ["you might need a /sbin/mount", "bad option; for several filesystems"]
    case .noKernelModule: ["unknown filesystem type", "No such device"]
    case .noLockDaemon: ["rpc.statd is not running"]
    case .notAllowed: ["Operation not permitted", "only root can", "must be superuser"]
    }
  }

  var storageCode: StorageError.Code {
    switch self {
    case .accessDenied: .forbidden
    case .versionNotSupported: .unsupported
    case .notThere, .unknownHost: .notFound
    case .notAFolder: .conflict
    case .nameServiceAway, .refused, .unreachable, .late, .busy, .stale: .unavailable
    case .wrongOption: .invalid
    case .noHelper, .noKernelModule, .noLockDaemon, .notAllowed: .missingPart
    }
  }

  /// What it means, and who can do what about it.
  var sentence: String {
    switch self {
    case .versionNotSupported: "the server speaks none of the versions of NFS that were tried"
    case .accessDenied:
      "the server denies access. Export the folder to this node's address (exports(5)); a server for NFSv3 says the same of a "
        + "folder that it does not have"
    case .notThere:
      "the server shows no such folder to this node. Export it to this node's address (exports(5)); the path of NFSv4 begins "
        + "at the export with fsid=0, if there is one"
    case .notAFolder: "it is not a folder"
    case .unknownHost: "no name server knows the host"
    case .nameServiceAway: "the host's address could not be found out, since no name server answers"
    case .refused: "the host runs no NFS server, or none yet"
    case .unreachable: "the network does not lead to the host"
    case .late: "the server did not answer in time"
    case .busy: "it is busy"
    case .stale: "the server's handle of the folder is stale"
    case .wrongOption: "the kernel or mount.nfs does not know one of the mount options"
    case .noHelper: "mount.nfs is not installed; it comes with nfs-common"
    case .noKernelModule: "the kernel has no NFS client. Load it: modprobe -a nfs nfsv4"
    case .noLockDaemon: "rpc.statd does not run, which NFSv3 takes for locks. Start it: systemctl start rpc-statd"
    case .notAllowed: "this user may not mount. The agent takes root, with CAP_SYS_ADMIN"
    }
  }

  /// Any end of mount(8) that left no mount.
  static func error(_ attempt: String, _ outcome: CommandRunner.Outcome) -> StorageError {
    guard let known = MountError(outcome.standardError) else {
      let words = outcome.standardError.split(whereSeparator: \.isNewline).joined(separator: "; ")
      let status = outcome.exitCode.map { "exit status \($0)" } ?? "a signal"
      return StorageError(.failed, "\(attempt) failed with \(status): \"\(words.prefix(300))\".")
    }
    return StorageError(known.storageCode, "\(attempt) failed: \(known.sentence).", cause: known)
  }
}
