import Synchronization

/// The kernel's NFS server, on a network of its own in this node, with file systems of its own. To its clients here it is
/// another machine, that can be stopped, cut off and taught to export something else.
///
/// Its daemons want fixed paths, so they run in a mount namespace of their own.
struct KernelNFSServer: Sendable {
  let name: String
  let address: String
  private let network: String

  private init(_ name: String, number: Int) {
    self.name = name
    network = "10.\(number).0"
    address = "\(network).2"
  }

  /// Serves every version from 3 to 4.2.
  static let modern = KernelNFSServer("nfs", number: 77)
  /// Serves version 3 only.
  static let old = KernelNFSServer("nfs3", number: 78)
  private static let begun = Mutex<Set<String>>([])

  /// Lends the server as new: it runs, and exports nothing. Nothing that is mounted from it is left afterwards.
  func lend(_ body: () async throws -> Void) async throws {
    if Self.begun.withLock({ $0.insert(name).inserted }) {
      try await sh("modprobe -a veth loop nfs nfsd; pidof rpcbind >/dev/null || rpcbind -w")
      try await open(self.name == Self.old.name ? "-N 4" : "")
    }
    do {
      try await body()
    } catch {
      try await forget()
      throw error
    }
    try await forget()
  }

  /// Where its folders lie.
  var folder: String { "/srv/\(name)" }

  /// Makes a file system to export, which only the server sees.
  func makeFileSystem(_ type: String, mebibytes: Int) async throws -> String {
    let path = "\(folder)/\(type)\(mebibytes)"
    // The lab's nodes have mkfs.ext4 only; their kernel has more.
    let make =
      type == "ext4"
      ? "mkfs.ext4 -qF"
      : "/host/lib64/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu /host/sbin/mkfs.\(type) -qf"
    try await inside(
      """
      mkdir -p \(path) && truncate -s \(mebibytes)M \(path).image &&
      \(make) \(path).image && mount -o loop \(path).image \(path) &&
      mkdir -m 0700 \(path)/share
      """)
    return "\(path)/share"
  }

  func makeFolder(_ folderName: String, mode: String = "0700") async throws -> String {
    try await sh("mkdir -p \(folder)/\(folderName) && chmod \(mode) \(folder)/\(folderName)")
    return "\(folder)/\(folderName)"
  }

  /// Exports these folders and no others (exports(5)). File handles of an export live as long as its number is the same.
  func export(_ lines: [(path: String, options: String)]) async throws {
    let text = lines.map { "\($0.path) *(no_subtree_check,sync,\($0.options))\n" }.joined()
    try await inside("printf '\(text.replacing("\n", with: "\\n"))' >/etc/exports && exportfs -ra && exportfs -f")
  }

  func stop() async throws { try await inside("rpc.nfsd 0") }
  func start() async throws { try await inside("rpc.nfsd -G 10 -L 10 4") }

  /// Nothing gets through any more, in either direction, and nobody is told.
  func cutOff() async throws { try await sh("tc qdisc add dev \(name) root netem loss 100%") }
  func reconnect() async throws { try await sh("tc qdisc del dev \(name) root") }

  @discardableResult
  func inside(_ script: String) async throws -> String {
    try await sh("nsenter --target $(cat /run/\(name).pid) --net --mount bash -c \"$(cat <<'END'\n\(script)\nEND\n)\"")
  }

  /// Clients first, while the server can still take their leave.
  private func forget() async throws {
    _ = try? await sh("tc qdisc del dev \(name) root 2>/dev/null")
    try await inside("[ $(cat /proc/fs/nfsd/threads) != 0 ] || rpc.nfsd -G 10 -L 10 4")
    try await sh(
      "grep -F '\(network).' /proc/self/mountinfo | cut -d ' ' -f 5 | tac | xargs -r -n 1 timeout -s KILL 10 umount -fl"
    )
    try await inside(
      """
      : >/etc/exports; exportfs -ua; exportfs -f
      grep -F ' \(folder)/' /proc/self/mountinfo | cut -d ' ' -f 5 | tac | while read -r path; do
        # The server may still be letting go of a file, for as long as a client's lease.
        umount "$path" 2>/dev/null || umount -l "$path"
      done
      rm -rf \(folder)/*
      """)
  }

  private func open(_ versions: String) async throws {
    // Of another run in this node.
    _ = try? await sh(
      """
      tc qdisc del dev \(name) root; grep -F '\(network).' /proc/self/mountinfo | cut -d ' ' -f 5 | xargs -r -n 1 umount -fl
      nsenter --target $(cat /run/\(name).pid) --net --mount sh -c 'exportfs -ua; rpc.nfsd 0'
      ip netns pids \(name) | xargs -r kill -9
      ip netns del \(name); ip link del \(name); rm -rf \(folder)
      """)
    try await sh(
      """
      mkdir -p \(folder) && ip netns add \(name) && ip link add \(name) type veth peer name eth0 netns \(name) &&
      ip addr add \(network).1/24 dev \(name) && ip link set \(name) up &&
      ip -n \(name) addr add \(address)/24 dev eth0 && ip -n \(name) link set eth0 up && ip -n \(name) link set lo up
      """)
    // nfsdcld knows that there are no clients of an earlier life to wait for.
    try await sh(
      """
      cat >/run/\(name).sh <<'END'
      mount -t tmpfs tmpfs /run && mkdir -p /run/rpcbind /run/state/nfsdcld && cp -a /var/lib/nfs/. /run/state/
      mount --bind /run/state /var/lib/nfs && mkdir -p /var/lib/nfs/rpc_pipefs /run/state/sm
      : >/run/exports; touch /etc/exports; mount --bind /run/exports /etc/exports
      mount -t nfsd nfsd /proc/fs/nfsd && mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
      rpcbind -w && nfsdcld -p /var/lib/nfs/rpc_pipefs && rpc.mountd -p 20048 && rpc.nfsd \(versions) -G 10 -L 10 4 && echo up
      exec sleep infinity
      END
      touch /etc/exports
      setsid nsenter --net=/run/netns/\(name) unshare --mount bash /run/\(name).sh </dev/null >/run/\(name).log 2>&1 &
      echo $! >/run/\(name).pid
      for _ in $(seq 100); do grep -q '^up' /run/\(name).log && exit 0; sleep 0.1; done
      cat /run/\(name).log; exit 1
      """)
  }
}
