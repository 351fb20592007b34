import Foundation

/// An nfs-ganesha of one's own that serves folders of the bed over NFSv3 and NFSv4. Takes root.
///
/// It has a loopback address of its own, with a portmapper: clients that take no ports, such as QEMU, find it there.
public struct GaneshaDaemon: Sendable {
  public struct Export: Sendable {
    public enum Access: String, Sendable {
      case readWrite = "RW"
      case readOnly = "RO"
      case none = "None"
    }

    /// The folder that is served; also the path that a client mounts.
    public let path: String
    public let access: Access
    /// Whether the server takes root for nobody.
    public let squashesRoot: Bool
    /// The size of a file system in memory that only the server sees there, and that goes with it.
    public let mebibytes: Int?

    public init(path: String, access: Access = .readWrite, squashesRoot: Bool = false, mebibytes: Int? = nil) {
      self.path = path
      self.access = access
      self.squashesRoot = squashesRoot
      self.mebibytes = mebibytes
    }
  }

  /// What it speaks to clients.
  public enum Dialect: Sendable {
    case both
    /// As a server whose operator has switched NFSv3 off: rpcbind runs, and knows of no NFSv3.
    case version4
    /// As one behind a firewall that lets port 2049 through and nothing else.
    case withoutPortmapper
  }

  public let daemon: Daemon
  public let address: String
  public let nfsPort: Int
  public let mountPort: Int
  private let portmapper: Portmapper

  /// The numbers of the RPC programs (RFC 1813).
  private static let (nfs, mount): (UInt32, UInt32) = (100_003, 100_005)

  public init(
    in bed: Bed, exports: [Export], name: String = "ganesha", on network: Network = .loopback, dialect: Dialect = .both
  ) throws {
    let folder = try bed.folder.folder(name)
    let run = try bed.folder.folder("\(name)/run")
    let recovery = try bed.folder.folder("\(name)/recovery")
    let (nfsPort, mountPort) = try network.inside {
      (dialect == .withoutPortmapper ? 2049 : try freePort(), try freePort())
    }
    portmapper = try network.inside {
      try Portmapper(
        at: "\(run)/rpcbind.sock", ports: dialect == .version4 ? [:] : [Self.nfs: nfsPort, Self.mount: mountPort],
        isForClients: dialect != .withoutPortmapper)
    }
    let protocols = dialect == .version4 ? "4" : "3, 4"
    let address = portmapper.address
    self.address = address
    self.nfsPort = nfsPort
    self.mountPort = mountPort
    let settings = """
      NFS_CORE_PARAM {
        Bind_addr = \(address); NFS_Port = \(nfsPort); MNT_Port = \(mountPort); Protocols = \(protocols);
        Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
      }
      NFSv4 { Graceless = true; UseGetpwnam = true; RecoveryBackend = fs; RecoveryRoot = \(recovery); }
      LOG { Default_Log_Level = EVENT; }
      """
    let sections = exports.enumerated().map { index, export in
      """
      EXPORT {
        Export_Id = \(index + 1); Path = \(export.path); Pseudo = /\(index + 1); Access_Type = \(export.access.rawValue);
        Squash = \(export.squashesRoot ? "Root_Squash" : "No_Root_Squash"); SecType = sys; Protocols = \(protocols);
        Transports = TCP; FSAL { Name = VFS; }
      }
      """
    }
    let file = try bed.folder.write(([settings] + sections).joined(separator: "\n"), to: "\(name)/ganesha.conf")
    let mounts = exports.compactMap { export in
      export.mebibytes.map { "mount -t tmpfs -o size=\($0)m,mode=0700 tmpfs '\(export.path)' && " }
    }
    // Its only way to a portmapper is a fixed path below /run, which therefore is one of its own.
    let command =
      mounts.joined() + #"mount --bind "$1" /run && exec ganesha.nfsd -F -f "$2" -L "$3/log" -p "$3/pid""#
    daemon = Daemon(
      name, network.entering(["unshare", "--mount", "sh", "-c", command, "ganesha", run, file, folder]), in: bed
    ) {
      network.answers("\(address):\(nfsPort)")
        && (dialect == .version4 || network.answers("\(address):\(mountPort)"))
    }
  }

  public func start() async throws { try await daemon.start() }

  /// Kills it with signal 9.
  public func kill9() async throws { try await daemon.kill9() }

  /// Lets it say nothing more, with its connections up, until `resume`.
  public func pause() async throws {
    guard let id = await daemon.processID else { throw TestBedFailure("ganesha does not run, so it can't be paused.") }
    kill(id, SIGSTOP)
    // One of its threads may still be in the middle of an answer.
    for _ in 0..<500 {
      let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/task")
      let areStopped = threads.allSatisfy { thread in
        let status = FileManager.default.contents(atPath: "/proc/\(id)/task/\(thread)/stat") ?? Data()
        return String(decoding: status, as: UTF8.self).contains(") T ")
      }
      if areStopped { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw TestBedFailure("ganesha goes on in spite of SIGSTOP.")
  }

  public func resume() async { if let id = await daemon.processID { kill(id, SIGCONT) } }
}
