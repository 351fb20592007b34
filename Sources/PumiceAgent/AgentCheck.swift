import Glibc
import Logging
import PumiceModel
import PumiceWire

/// Says what this node can do as it is configured, and what is missing. Changes nothing and starts nothing.
public struct AgentCheck: Sendable {
  /// One part of the node.
  public struct Line: Sendable, Equatable, Codable {
    public let part: String
    public let isOK: Bool
    public let detail: String
    /// What an operator can do about it.
    public let remedy: String?
    /// Whether the node can't do its configured work without it.
    public let isRequired: Bool
  }

  let configuration: AgentConfiguration

  public init(_ configuration: AgentConfiguration) { self.configuration = configuration }

  public func lines() async -> [Line] {
    var lines = [tokenLine("token_file", configuration.tokenFile)]
    if let file = configuration.joinTokenFile, file != configuration.tokenFile {
      lines.append(tokenLine("join_token_file", file))
    }
    lines.append(stateLine())
    lines.append(coordinatorLine())
    if configuration.backends.isEmpty {
      lines.append(ok("backends", "None: this node stores no volumes.", isRequired: false))
    }
    for backend in configuration.backends { lines += await self.lines(for: backend) }
    lines += await exporterLines()
    lines += await hypervisorLines()
    return lines
  }

  // MARK: Parts

  private func tokenLine(_ key: String, _ path: String) -> Line {
    line(key, remedy: "Write the token into \(path) and close it: chmod 0600 \(path)") { () throws(StorageError) in
      _ = try SecretFile.token(in: path, calledBy: key)
      return path
    }
  }

  private func stateLine() -> Line {
    let path = configuration.stateDirectory
    var status = stat()
    guard stat(path, &status) == 0 else {
      let parent = Self.nearestFolder(above: path)
      return access(parent, W_OK) == 0
        ? ok("state_directory", "\(path) will be made in \(parent).")
        : missing(
          "state_directory", "\(path) does not exist and can't be made in \(parent).", "install -d -m 0700 \(path)")
    }
    if status.st_mode & S_IFMT != S_IFDIR || access(path, W_OK) != 0 {
      return missing(
        "state_directory", "\(path) is no folder that this user can write to.", "Run as root, or chown it.")
    }
    if status.st_mode & 0o022 != 0 {
      return missing("state_directory", "\(path) can be written by others.", "chmod 0755 \(path)")
    }
    return ok("state_directory", path)
  }

  private func coordinatorLine() -> Line {
    guard let coordinator = configuration.coordinator else {
      return Line(
        part: "coordinator", isOK: false, detail: "None is configured: this node belongs to no fleet.",
        remedy: "Set coordinator and join_token_file.", isRequired: false)
    }
    return ok("coordinator", "Reports go to \(coordinator); it is not asked now.", isRequired: false)
  }

  private func lines(for backend: BackendConfiguration) async -> [Line] {
    let part = "backend \(backend.name)"
    switch backend {
    case .memory: return [ok(part, "In memory: empty after each start.")]
    case .lvm(let configuration): return [await line(part, configuration)]
    case .nfs(let configuration): return await lines(for: configuration)
    case .directory(let configuration):
      let path = configuration.path
      let line = await asyncLine(part, remedy: nil) { () async throws(StorageError) in
        let (total, free) = try await BlockingCalls.run { () throws(StorageError) in
          let capacity = try VolumeFolder(path: path).capacity()
          guard access(path, W_OK) == 0 else {
            throw StorageError(.forbidden, "\(path) can't be written to by this user.")
          }
          return capacity
        }
        return "\(path): \(free) of \(total) free."
      }
      return [line]
    }
  }

  private func line(_ part: String, _ backend: LVMBackendConfiguration) async -> Line {
    let tools = backend.provisioning == .thin ? ["lvm", "dmsetup", "thin_check"] : ["lvm", "dmsetup"]
    if let tool = tools.first(where: { Self.executable($0) == nil }) {
      return missing(part, "The program \(tool) is not in PATH.", "apt-get install lvm2 thin-provisioning-tools")
    }
    return await asyncLine(part, remedy: nil) { () async throws(StorageError) in try await LVMBackend.summary(backend) }
  }

  private func exporterLines() async -> [Line] {
    let exporter = configuration.exporter
    switch exporter.kind {
    case .none: return [ok("exporter", "None: volumes of this node can't be attached.", isRequired: false)]
    case .memory: return [ok("exporter", "In memory.")]
    case .lio: return lioLines()
    case .tgt:
      let isAlive = await TGTDaemon(
        socketPath: exporter.socketPath, launch: nil, logger: Agent.logger(level: .critical), whenFresh: {}
      ).isAlive
      let program = Self.executable("tgtd")
      var lines = [
        program.map { ok("tgtd", $0, isRequired: exporter.startsDaemon && !isAlive) }
          ?? missing(
            "tgtd", "The program tgtd is not in PATH.", "apt-get install tgt",
            isRequired: exporter.startsDaemon && !isAlive)
      ]
      if isAlive {
        lines.append(ok("tgtd socket", "tgtd answers on \(exporter.socketPath)."))
      } else if exporter.startsDaemon, access(Self.nearestFolder(above: exporter.socketPath), W_OK) == 0 {
        lines.append(ok("tgtd socket", "Nobody answers on \(exporter.socketPath); the agent will start tgtd."))
      } else {
        lines.append(
          missing(
            "tgtd socket", "Nobody answers on \(exporter.socketPath), or this user may not ask.",
            exporter.startsDaemon ? "Run the agent as root." : "Start tgtd, or set exporter.start to true."))
      }
      return lines
    }
  }

  private func hypervisorLines() async -> [Line] {
    let hypervisor = configuration.hypervisor
    switch hypervisor.kind {
    case .none: return [ok("hypervisor", "None: this node runs no instances.", isRequired: false)]
    case .memory: return [ok("hypervisor", "In memory.")]
    case .host: return [ok("hypervisor", "None: this machine itself gets volumes.")] + (await connectorLines())
    case .libvirt:
      let daemon = await asyncLine(
        "libvirt", remedy: "apt-get install libvirt-daemon-system, start libvirtd, and let this user reach its socket."
      ) { () async throws(StorageError) in
        try await LibvirtProbe.version(at: hypervisor.uri)
      }
      return [daemon] + (await connectorLines()) + [nfsConnectorLine(hypervisor.nfsConnector)]
    }
  }

  private func connectorLines() async -> [Line] {
    switch configuration.hypervisor.connector {
    case .qemu:
      return [
        LibvirtProbe.module("block-iscsi").map { ok("QEMU iSCSI driver", $0) }
          ?? missing(
            "QEMU iSCSI driver", "block-iscsi.so is not where QEMU looks for it.", "apt-get install qemu-block-extra")
      ]
    case .kernel: return await openISCSILines()
    }
  }

  private func openISCSILines() async -> [Line] {
    let program =
      Self.executable("iscsiadm").map { ok("open-iscsi", $0) }
      ?? missing("open-iscsi", "The program iscsiadm is not in PATH.", "apt-get install open-iscsi")
    let root = NodeDatabase.standardRoot
    let database =
      access(root, W_OK) == 0
      ? ok("open-iscsi records", root)
      : missing("open-iscsi records", "\(root) is no folder that this user can write to.", "Run the agent as root.")
    // iscsid's socket has no file. Connecting to it would start it where systemd listens for it.
    let sockets = (try? String(contentsOfFile: "/proc/net/unix")) ?? ""
    let daemon =
      sockets.contains("@ISCSIADM_ABSTRACT_NAMESPACE")
      ? ok("iscsid", "It listens, or systemd does for it.")
      : missing("iscsid", "Nobody listens on its socket.", "systemctl enable --now iscsid.socket, or start iscsid.")
    return [program, database, daemon, await multipathLine()]
  }

  private func multipathLine() async -> Line {
    guard let daemon = Self.executable("multipathd"), let program = Self.executable("multipath") else {
      return missing(
        "multipathd", "It is not installed: of several portals, one is used.", "apt-get install multipath-tools",
        isRequired: false)
    }
    // multipath(8): the configuration that is in effect.
    let outcome = try? await CommandRunner(deadline: .seconds(10)).run(program, ["-t"])
    guard outcome?.standardOutput.contains("vendor \"PUMICE\"") == true else {
      return missing(
        "multipathd", "\(daemon) knows nothing of volumes: reads and writes would fail when the last path is down.",
        "Copy Config/multipath.conf to /etc/multipath/conf.d/pumice.conf and run: multipathd reconfigure",
        isRequired: false)
    }
    return ok("multipathd", daemon, isRequired: false)
  }

  // MARK: Lines

  func ok(_ part: String, _ detail: String, isRequired: Bool = true) -> Line {
    Line(part: part, isOK: true, detail: detail, remedy: nil, isRequired: isRequired)
  }

  func missing(_ part: String, _ detail: String, _ remedy: String, isRequired: Bool = true) -> Line {
    Line(part: part, isOK: false, detail: detail, remedy: remedy, isRequired: isRequired)
  }

  private func line(_ part: String, remedy: String?, _ body: () throws(StorageError) -> String) -> Line {
    do throws(StorageError) { return ok(part, try body()) } catch { return failed(part, error, remedy) }
  }

  private func asyncLine(
    _ part: String, remedy: String?, _ body: () async throws(StorageError) -> String
  ) async -> Line {
    do throws(StorageError) { return ok(part, try await body()) } catch { return failed(part, error, remedy) }
  }

  func failed(_ part: String, _ error: StorageError, _ remedy: String?) -> Line {
    Line(part: part, isOK: false, detail: error.message, remedy: remedy, isRequired: true)
  }

  // MARK: The machine

  /// Where PATH, or the places where daemons lie, have a program.
  private static func executable(_ name: String) -> String? {
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin", "/usr/local/sbin"]
    return folders.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }

  /// The nearest folder above a path that exists.
  private static func nearestFolder(above path: String) -> String {
    var parts = path.split(separator: "/").dropLast()
    while !parts.isEmpty, access("/" + parts.joined(separator: "/"), F_OK) != 0 { parts = parts.dropLast() }
    return "/" + parts.joined(separator: "/")
  }
}
