import PumiceModel

/// Shares, asked as the agent will ask them: mounted in its way, looked at, and written to.
extension AgentCheck {
  func lines(for backend: NFSBackendConfiguration) async -> [Line] {
    var lines: [Line] = []
    var usable: [(share: String, folder: any ShareFolder)] = []
    let mounts = ShareMounts(configuration.shareMounts)
    // What this check mounts goes with it, unless it was mounted before.
    let mounted = backend.shares.filter(backend.isMounted).compactMap { try? NFSShare($0.share) }
    let fresh = mounted.map(mounts.share).filter { (try? $0.standing()) == .absent }
    for share in backend.shares {
      guard let parsed = try? NFSShare(share.share) else { continue }
      let remedy = ShareRemedy(
        share: parsed, backend: backend, isMounted: backend.isMounted(share), options: share.options)
      do throws(StorageError) {
        let folder = try await backend.access(to: share, mounts: mounts).folder()
        lines.append(await line(for: share.share, folder, of: backend, remedy))
        if lines.last?.isOK == true { usable.append((share.share, folder)) }
      } catch {
        lines.append(failed("share \(share.share)", error, await Self.remedy(error, remedy)))
      }
      lines += remedy.warnings.map { missing("share \(share.share)", $0.detail, $0.remedy, isRequired: false) }
    }
    lines += await linesAboutTwins(usable)
    for share in fresh { try? await share.unmount() }
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

  private func line(
    for share: String, _ folder: any ShareFolder, of backend: NFSBackendConfiguration, _ remedy: ShareRemedy
  ) async -> Line {
    let part = "share \(share)"
    let name = Self.newName
    do throws(StorageError) {
      let (total, free) = try await folder.capacity()
      guard free > .zero else { throw StorageError(.noSpace, "The share \(share) has no space left.") }
      try await ShareOwner(node: configuration.name, backend: backend.name).refuseOthers(folder)
      try await folder.create(name)
      try await folder.write([1], to: name, at: 0)
      if backend.provisioning == .thick { try await folder.grow(name, to: .mebibytes(1), thick: true) }
      try await folder.remove(name)
      return ok(part, "\(free) of \(total) free; user \(backend.user) can write to it.")
    } catch {
      try? await folder.remove(name)
      return failed(part, error, remedy.writing(error))
    }
  }

  /// One folder under two names is no two pools: each would take the other's volumes for what a crash has left.
  private func linesAboutTwins(_ shares: [(share: String, folder: any ShareFolder)]) async -> [Line] {
    var lines: [Line] = []
    for (index, first) in shares.enumerated().dropLast() {
      let name = Self.newName
      do throws(StorageError) {
        try await first.folder.create(name)
        for second in shares[(index + 1)...] where try await second.folder.status(of: name) != nil {
          lines.append(
            missing(
              "share \(second.share)", "It is the same folder as \(first.share).", "Take one of them out of shares."))
        }
      } catch {
        lines.append(failed("share \(first.share)", error, nil))
      }
      try? await first.folder.remove(name)
    }
    return lines
  }

  private static var newName: String { ".pumice-check.\(UInt64.random(in: 0..<(1 << 40)))" }

  private static func remedy(_ error: StorageError, _ remedy: ShareRemedy) async -> String {
    let host = remedy.share.host
    do throws(StorageError) {
      _ = try await BlockingCalls.run(within: .seconds(10), "Finding \(host)") { () throws(StorageError) in
        try serverAddresses(host)
      }
    } catch {
      return remedy.reaching(error.code == .notFound ? MountError.unknownHost : .nameServiceAway)
    }
    guard !remedy.isMounted, [.unavailable, .timeout].contains(error.code) else { return remedy.reaching(error) }
    async let portmapper = PortState.of(111, on: host)
    async let nfs = PortState.of(2049, on: host)
    return remedy.reaching(error, ports: (await portmapper, await nfs))
  }
}
