public import TestBed

/// libvirtd, QEMU and one guest in a node. The programs are this machine's: the node finds them, and what they need, at /host.
/// Takes a node with 1 GiB of memory.
///
/// After a power cut the node has its libvirtd and its guest again as those of a real machine: what they are is on its disk, and
/// neither runs.
public struct NodeLibvirt: Virsh {
  public let daemon: NodeDaemon
  private let node: LabNode
  private let lab: Lab
  /// Where the guest's shell is, in the node and from outside.
  private static let socket = "/run/guest.sock"
  private static let port = 7000

  public init(on node: LabNode, of lab: Lab) {
    self.node = node
    self.lab = lab
    daemon = NodeDaemon("libvirt", ["libvirtd"], on: node) { try await node.answer(to: "virsh -q uri").status == 0 }
  }

  /// Starts it and returns when it knows its QEMU: 5 s, the node being up.
  public func start() async throws {
    try await node.run(Self.preparation)
    try await daemon.start()
    try await virsh("domcapabilities", "--virttype", "qemu")
  }

  @discardableResult
  public func virsh(_ arguments: [String]) async throws -> String {
    let words = arguments.map { "'\($0.replacing("'", with: #"'\''"#))'" }.joined(separator: " ")
    return try await node.run("virsh -q \(words)")
  }

  /// The guest, not yet defined.
  public func guest(_ image: GuestImage) throws -> Guest {
    let guest = Guest(image: image.found(below: "/host"), libvirt: self, in: lab.bed, socket: Self.socket)
    _ = try lab.bed.start(
      lab.network.entering(["socat", "UNIX-LISTEN:\(guest.shellSocket),fork", "TCP:\(node.address):\(Self.port)"]),
      name: "relay-\(guest.name)")
    return guest
  }

  /// Debian's packages are not installed there: links to what is in them do as well. Harmless when repeated.
  private static let preparation = """
    set -e
    echo /host/usr/lib/x86_64-linux-gnu >/etc/ld.so.conf.d/zz-host.conf
    ldconfig 2>/dev/null
    for part in bin/qemu-system-x86_64 bin/qemu-img bin/virsh sbin/libvirtd lib/libvirt lib/x86_64-linux-gnu/libvirt \\
      lib/x86_64-linux-gnu/qemu share/libvirt share/qemu share/seabios; do
      [ -e /usr/$part ] || ln -s /host/usr/$part /usr/$part
    done
    grep -q libvirt-qemu /etc/passwd || {
      echo 'libvirt-qemu:x:64055:64055::/:/bin/false' >>/etc/passwd
      echo 'libvirt-qemu:x:64055:' >>/etc/group
    }
    mkdir -p /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /run/libvirt
    cat >/etc/libvirt/qemu.conf <<'END'
    \(LibvirtDaemon.qemuConfiguration)
    END
    printf '%s\\n' 'log_outputs = "2:stderr"' >/etc/libvirt/libvirtd.conf
    [ -e /run/guest-relay.pid ] || {
      setsid socat TCP-LISTEN:\(port),reuseaddr,fork UNIX-CONNECT:\(socket) </dev/null >/dev/null 2>&1 &
      echo $! >/run/guest-relay.pid
    }
    """
}
