import Foundation

/// A libvirtd that takes orders.
public protocol Virsh: Sendable {
  /// Runs virsh against it, and returns what it said.
  @discardableResult
  func virsh(_ arguments: [String]) async throws -> String
}

extension Virsh {
  @discardableResult
  public func virsh(_ arguments: String...) async throws -> String { try await virsh(arguments) }
}

/// A libvirtd of one's own, beside any other on the machine.
///
/// It runs as root in a mount namespace where its usual folders are ours, so its guests outlive it and a new one finds
/// them; clients outside reach it by `uri`.
public struct LibvirtDaemon: Virsh {
  public let daemon: Daemon
  public let uri: String
  private let bed: Bed
  private let folder: String

  /// - Parameter network: Where its guests' QEMUs find their disks.
  public init(in bed: Bed, on network: Network = .loopback, name: String = "libvirt") throws {
    self.bed = bed
    folder = try bed.folder.folder(name)
    for part in ["run/libvirt", "etc", "lib", "cache/qemu/capabilities", "log"] {
      try bed.folder.folder("\(name)/\(part)")
    }
    let sockets = "\(folder)/run/libvirt"
    let uri = "qemu:///system?socket=\(sockets)/libvirt-sock"
    self.uri = uri
    try bed.folder.write(Self.configuration(sockets: sockets), to: "\(name)/libvirtd.conf")
    try bed.folder.write(Self.qemuConfiguration, to: "\(name)/etc/qemu.conf")
    try bed.folder.write(Self.launcher(folder: folder), to: "\(name)/start.sh")
    daemon = Daemon(
      "libvirtd-\(name)",
      network.entering(["unshare", "--mount", "--propagation", "private", "sh", "\(folder)/start.sh"]), in: bed
    ) {
      try await bed.run(["virsh", "-c", uri, "uri"], within: .seconds(5)) != ""
    }
  }

  /// Starts it and returns when it knows its QEMU. That takes eight seconds once, and is then remembered in the cache.
  public func start() async throws {
    let cache = CapabilityCache(folder: "\(folder)/cache/qemu/capabilities")
    try cache.fetch()
    try await daemon.start()
    try await virsh("domcapabilities", "--virttype", "qemu")
    try cache.keep()
  }

  /// Kills it with signal 9; its guests run on.
  public func kill9() async throws {
    let id = try String(contentsOfFile: "\(folder)/libvirtd.pid", encoding: .utf8)
    try await daemon.kill9(pid_t(id.trimmingCharacters(in: .whitespacesAndNewlines)))
  }

  /// Ends it; its guests run on.
  public func stop() async throws { try await daemon.stop() }

  /// Runs virsh against it, once more when libvirtd crashed meanwhile.
  @discardableResult
  public func virsh(_ arguments: [String]) async throws -> String {
    let command = ["virsh", "-q", "-c", uri] + arguments
    do { return try await bed.run(command) } catch let failure as TestBedFailure
      where failure.description.contains("End of file while reading data")
    {
      try await eventually("libvirtd is back") { (try? await bed.run(["virsh", "-c", uri, "uri"])) != nil }
      return try await bed.run(command)
    }
  }

  /// Looks after libvirtd as systemd does: 9.0 now and then dies of a use-after-free (in `virStorageSourceGetActualType`)
  /// when a disk is taken from a guest.
  private static func launcher(folder: String) -> String {
    """
    set -e
    mkdir -p /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
    mount --bind "\(folder)/run" /run
    mount --bind "\(folder)/etc" /etc/libvirt
    mount --bind "\(folder)/lib" /var/lib/libvirt
    mount --bind "\(folder)/cache" /var/cache/libvirt
    mount --bind "\(folder)/log" /var/log/libvirt
    trap 'kill -TERM $libvirtd 2>/dev/null' TERM
    for life in 1 2 3 4 5; do
      libvirtd -f "\(folder)/libvirtd.conf" -p "\(folder)/libvirtd.pid" &
      libvirtd=$!
      status=0
      wait $libvirtd || status=$?
      while kill -0 $libvirtd 2>/dev/null; do wait $libvirtd && status=0 || status=$?; done
      [ $status -eq 139 ] || exit $status
      echo "libvirtd died of a segmentation fault, and is started again as systemd would do"
    done

    """
  }

  private static func configuration(sockets: String) -> String {
    """
    listen_tls = 0
    listen_tcp = 0
    unix_sock_dir = "\(sockets)"
    unix_sock_group = "root"
    unix_sock_rw_perms = "0700"
    auth_unix_ro = "none"
    auth_unix_rw = "none"
    log_outputs = "2:stderr"

    """
  }

  /// What works as root without systemd, udev, cgroups or virtlogd.
  package static let qemuConfiguration = """
    user = "root"
    group = "root"
    dynamic_ownership = 0
    remember_owner = 0
    security_driver = "none"
    cgroup_controllers = []
    namespaces = []
    stdio_handler = "file"
    lock_manager = "nop"

    """
}
