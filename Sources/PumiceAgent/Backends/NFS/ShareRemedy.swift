import PumiceModel

/// What an operator can do about a share that can't be used: one sentence for each way in which that is known to go wrong.
///
/// `noexec`, `nosuid` and `nodev` are none of them: shares are mounted with all three, and nothing is run from disks.
struct ShareRemedy {
  let share: NFSShare
  let backend: NFSBackendConfiguration
  /// Whether the kernel mounts it.
  let isMounted: Bool
  /// The operator's, for mount.nfs(8).
  let options: String?

  /// - Parameter ports: How the server's ports for the portmapper and for NFS are, if that was looked at.
  func reaching(_ error: StorageError, ports: (portmapper: PortState, nfs: PortState)? = nil) -> String {
    if let cause = error.cause as? MountError { return reaching(cause) }
    if let cause = error.cause as? NFSStatus, cause.isStale { return stale }
    if error.message.contains("chmod o-w") { return "Run that on the server, or set allow_everybody for the share." }
    switch error.code {
    case .forbidden where isMounted: return writing(error)
    case .conflict where isMounted: return "See what is mounted there with findmnt, and unmount it."
    case .invalid: return "Correct the entry in shares; for options see nfs(5)."
    case .forbidden:
      return "Add this machine to the export on the server (exports(5)), with `insecure` if the agent does not run as "
        + "root; see what is exported with: showmount -e \(share.host)"
    case .notFound: return "See what the server exports with: showmount -e \(share.host)"
    case .unavailable, .timeout: return ports.map(connecting) ?? nobodyThere
    default: return "Look into the server's log."
    }
  }

  func writing(_ error: StorageError) -> String {
    switch error.code {
    case .forbidden where error.message.contains(ShareOwner.file):
      "Give each backend a share of its own: another agent, or another backend of this one, keeps its volumes there."
    case .forbidden where error.cause as? NFSStatus == .readOnly || error.message.contains("mounted read-only"):
      "Export it with rw (exports(5))."
    case .forbidden where isMounted:
      // The kernel asks as root, whoever the files shall belong to.
      "Export it with rw,no_root_squash (exports(5)); or, where root is to be nobody (root_squash), make that user the owner "
        + "of the exported folder: anonuid, which is 65534 by default."
    case .forbidden where backend.user == 0:
      "The server exports it read-only, or takes root for nobody (root_squash). Set user and group of backend "
        + "\(backend.name) to the owner of the exported folder, or export it with rw,no_root_squash."
    case .forbidden: "Make user \(backend.user) the owner of the exported folder, on the server."
    case .noSpace: "Make room on the server, or raise the quota."
    case .unsupported: "Set provisioning of backend \(backend.name) to thin."
    case .unavailable where (error.cause as? NFSStatus)?.isStale == true: stale
    default: "Look into the server's log."
    }
  }

  private var stale: String {
    "The exported folder was removed, or replaced by another. Have the server export what is there now: exportfs -ra, or a "
      + "restart of it."
  }

  private var nobodyThere: String {
    "See whether the server runs, and whether this machine reaches its port 2049: a firewall may stand between."
  }

  private func connecting(_ ports: (portmapper: PortState, nfs: PortState)) -> String {
    switch (ports.portmapper, ports.nfs) {
    case (.closed, .open), (.silent, .open):
      "Its port 2049 answers and its port 111 does not. Without a mount, NFSv3 is spoken, which takes rpcbind and mountd: start "
        + "them there and let them through the firewall; or have this node mount the share, which NFSv4 does by port 2049 "
        + "alone: apt-get install nfs-common, and access: mount"
    case (.open, _):
      "rpcbind runs there. Without a mount, NFSv3 is spoken: nfs and mountd must be there in version 3, and their ports must "
        + "be reachable. A server that speaks NFSv4 only takes access: mount. See: rpcinfo -p \(share.host)"
    case (.closed, .closed):
      "Start the NFS server there, with rpcbind and mountd; nobody listens on its ports 111 and 2049."
    case (.silent, _), (_, .silent):
      "Nothing comes back from its ports 111 and 2049: the machine is down, the address is another's, or a firewall stands "
        + "between."
    }
  }

  func reaching(_ cause: MountError) -> String {
    switch cause {
    case .versionNotSupported:
      namesVersion
        ? "Take the version out of options, or name one that the server speaks; see: rpcinfo -p \(share.host)"
        : "Have the server speak NFS 4.2, 4.1 or 3 (nfs.conf(5)); see: rpcinfo -p \(share.host)"
    case .accessDenied, .notThere:
      "Export it to this machine's address (exports(5)), and run exportfs -ra; see what is exported with: showmount -e "
        + share.host
    case .notAFolder: "Export the folder, and not a file in it."
    case .unknownHost: "Correct the host in shares, or have a name server or /etc/hosts know it."
    case .nameServiceAway: "See whether the name servers of /etc/resolv.conf answer."
    case .refused, .unreachable, .late: nobodyThere
    case .busy: "See what is mounted there with findmnt, and unmount it."
    case .stale: stale
    case .wrongOption: "Correct options of the share; see nfs(5)."
    case .noHelper: "apt-get install nfs-common, or set access: libnfs"
    case .noKernelModule: "modprobe -a nfs nfsv4, or set access: libnfs"
    case .noLockDaemon: "systemctl start rpc-statd; NFSv4 takes none."
    case .notAllowed: "Run the agent as root, or set access: libnfs"
    }
  }

  private var namesVersion: Bool { (try? NFSMountOptions(options))?.versions == [nil] }

  /// What the operator's options lead to that he may not have wanted, by nfs(5).
  var warnings: [(detail: String, remedy: String)] {
    guard isMounted, let options else { return [] }
    return options.split(separator: ",").compactMap { word in
      let consequence: String? =
        switch word {
        case "soft", "softerr", "softreval":
          "guests are told that their disks have failed, and lose what they have written, whenever the server is away for some "
            + "minutes"
        case "nolock", "local_lock=all", "local_lock=posix":
          "the lock that QEMU takes ends at its node, so that two machines can write to one disk"
        case "udp", "proto=udp": "what a guest reads and writes can be mixed up on a fast network"
        default: nil
        }
      return consequence.map { ("It has the option \(word): \($0).", "Take \(word) out of its options.") }
    }
  }
}
