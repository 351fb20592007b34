import PumiceModel

/// Shares, asked as the agent will ask them: mounted in its way, looked at, and written to.
extension AgentCheck {
  func lines(for backend: NFSBackendConfiguration) async -> [Line] {
    var lines: [Line] = []
    for share in backend.shares { lines.append(await line(for: share, of: backend)) }
    return lines
  }

  /// Who opens files of shares for instances. Only an operator who has chosen a way needs it.
  func nfsConnectorLine(_ connector: AgentConfiguration.Hypervisor.NFSConnector) -> Line {
    let part = "NFS shares"
    let isRequired = connector != .auto
    if connector == .mount || connector == .auto && KernelNFS.isThere {
      guard let command = KernelNFS.command else {
        return missing(part, "There is no mount.nfs.", "apt-get install nfs-common")
      }
      guard KernelNFS.isThere else {
        return missing(
          part, "This user can't mount, or the kernel has no NFS client.",
          "Run as root, or set hypervisor.nfs_connector.")
      }
      return ok(part, "Mounted below \(configuration.nfsMountBase) with \(command).", isRequired: isRequired)
    }
    // Debian builds it into a module of its own, others into QEMU itself.
    return LibvirtProbe.module("block-nfs").map { ok(part, "QEMU opens them: \($0).", isRequired: isRequired) }
      ?? missing(
        part, "This agent can't mount, and QEMU's NFS driver (block-nfs.so) is not where it looks for it.",
        "apt-get install nfs-common (and run as root), or qemu-block-extra.", isRequired: isRequired)
  }

  private func line(for share: NFSBackendConfiguration.Share, of backend: NFSBackendConfiguration) async -> Line {
    let part = "share \(share.share)"
    let folder: any ShareFolder
    do throws(StorageError) {
      let mounts = ShareMounts(configuration.shareMounts)
      folder = try await backend.access(to: share, mounts: mounts).folder()
    } catch {
      return failed(part, error, Self.remedyOfReaching(share.share, error))
    }
    let name = ".pumice-check.\(UInt64.random(in: 0..<(1 << 40)))"
    do throws(StorageError) {
      let (total, free) = try await folder.capacity()
      guard free > .zero else { throw StorageError(.noSpace, "The share \(share.share) has no space left.") }
      try await folder.create(name)
      try await folder.write([1], to: name, at: 0)
      try await folder.remove(name)
      return ok(part, "\(free) of \(total) free; user \(backend.user) can write to it.")
    } catch {
      try? await folder.remove(name)
      return failed(part, error, Self.remedyOfWriting(backend, error))
    }
  }

  private static func remedyOfReaching(_ share: String, _ error: StorageError) -> String {
    let host = (try? NFSShare(share))?.host ?? share
    return switch error.code {
    case .forbidden where error.message.contains("chmod"):
      "Run that on the server, or set allow_everybody for the share."
    case .forbidden:
      "Add this machine to the export on the server (exports(5)), with `insecure` if the agent does not run as root; see "
        + "what is exported with: showmount -e \(host)"
    case .notFound: "See what the server exports with: showmount -e \(host)"
    case .unavailable, .timeout:
      "Without a mount, NFSv3 is spoken: rpcbind (port 111), mountd and nfsd of the server must be reachable. See: "
        + "rpcinfo -p \(host)"
    default: "See whether the server speaks NFSv3 with: rpcinfo -p \(host)"
    }
  }

  private static func remedyOfWriting(_ backend: NFSBackendConfiguration, _ error: StorageError) -> String {
    switch error.code {
    case .forbidden where error.message.contains("read-only"): "Export it with rw (exports(5))."
    case .forbidden where backend.user == 0:
      "The server takes root for nobody (root_squash). Set user and group of backend \(backend.name) to the owner of the "
        + "exported folder, or export it with no_root_squash."
    case .forbidden: "Make user \(backend.user) the owner of the exported folder, on the server."
    case .noSpace: "Make room on the server, or raise the quota."
    default: "Look into the server's log."
    }
  }
}
