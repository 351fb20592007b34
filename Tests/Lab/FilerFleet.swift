import LabBed
import PumiceModel
import TestBed
import Testing

/// A filer and a KVM host, both in the lab: the filer's kernel exports a folder, the host's kernel mounts it, and on the host are
/// an agent, a libvirtd and a guest. The coordinator is a program of this machine in the lab's network.
struct FilerFleet: Sendable {
  let lab: Lab
  let coordinator: CoordinatorDaemon
  let filer: LabNode
  let host: LabNode
  let libvirt: NodeLibvirt
  let agent: NodeAgent
  let guest: Guest
  let api: API

  /// What the filer exports, as its clients name it, and where it has it.
  var share: String { "\(filer.address):\(Self.folder)" }
  static let folder = "/srv/vms"

  /// Prepares everything; nothing runs yet.
  init(in bed: Bed) async throws {
    lab = try await Lab(in: bed)
    coordinator = try CoordinatorDaemon(in: bed, on: lab.network, extra: "allow_unauthenticated_remote: true")
    api = API(url: try await lab.url(ofServiceAt: coordinator.address))
    filer = try lab.node("filer", number: 11, disks: [4096])
    host = try lab.node("host", number: 12, memory: 1024)
    libvirt = NodeLibvirt(on: host, of: lab)
    agent = try NodeAgent(
      on: host, coordinator: coordinator, of: lab,
      drivers: """
        backends: [{name: filer, kind: nfs, shares: ['\(filer.address):\(Self.folder)']}]
        hypervisor: {kind: libvirt}
        """)
    guest = try libvirt.guest(try await GuestImage.prepare(in: bed))
  }

  /// Lends one that runs, in a bed of its own.
  static func with(_ work: (FilerFleet) async throws -> Void) async throws {
    try await Bed.with { bed in
      let fleet = try await FilerFleet(in: bed)
      try await fleet.telling {
        try await fleet.startWithoutAgent()
        try await fleet.agent.daemon.start()
        try await fleet.api.waitForInstance(fleet.guest.id)
        try await work(fleet)
      }
    }
  }

  /// Starts all but the agent; returns when the guest is up.
  func startWithoutAgent() async throws {
    async let filer: Void = startFiler()
    async let coordinator: Void = coordinator.daemon.start()
    async let host: Void = startHost()
    _ = try await (filer, coordinator, host)
    try await guest.start()
  }

  func startFiler() async throws {
    try await filer.start()
    try await filer.run(Self.exporting)
  }

  /// The machine and its libvirtd.
  func startHost() async throws {
    try await host.start()
    try await libvirt.start()
  }

  // MARK: Snapshots

  /// Returns when it is there.
  func takeSnapshot(_ name: String, of volume: VolumeID) async throws -> SnapshotID {
    let snapshot = try await api.takeSnapshot(name: name, of: volume)
    try await api.waitForSnapshot(snapshot, status: "available")
    return snapshot
  }

  // MARK: What is there

  /// Where the host has the share: at a folder named by the md5 of what it is called.
  func mountPoint() async throws -> String {
    "/var/lib/pumice/mnt/" + (try await host.run("printf %s '\(share)' | md5sum")).prefix(32)
  }

  /// The files that hold bytes of volumes.
  func images() async throws -> [String] {
    try await filer.run("ls \(Self.folder) | grep -v -e '[.]json$' -e lost+found || true").split(separator: "\n")
      .map(String.init)
  }

  func waitForImages(_ count: Int) async throws {
    try await eventually("there are \(count) images", within: .seconds(60), every: .milliseconds(200)) {
      let images = try await images()
      guard images.count == count else { throw TestBedFailure("There are \(images).") }
      return true
    }
  }

  /// The layers of volumes that nobody has open are as whole as qemu-img(1) wants them.
  func expectSoundImages() async throws {
    let layers = try await images().filter { $0.contains(".") }
    #expect(!layers.isEmpty)
    for layer in layers { try await host.run("qemu-img check -f qcow2 '\(mountPoint())/\(layer)'") }
  }

  /// With no volume left, the share is as it was, and neither agent nor guest know of one.
  func expectNothingLeft() async throws {
    try await eventually("nothing is left on the share", within: .seconds(60)) {
      let left = try await filer.run("ls -A \(Self.folder) | grep -v -x -e lost+found -e .pumice-owner || true")
      guard left.isEmpty else { throw TestBedFailure("There is \(left)") }
      return true
    }
    #expect(try await host.run("cd /var/lib/pumice-agent && ls exports connections") == "connections:\n\nexports:\n")
    #expect(try await guest.disks().isEmpty)
    #expect(try await !guest.xml(stored: true).contains("<disk"))
    #expect(try await api.get("/pumice/v1/doctor")["findings"].array.isEmpty)
  }

  /// Does the work; when it fails, adds what all parts have to say.
  func telling<Result>(_ work: () async throws -> Result) async throws -> Result {
    do { return try await work() } catch {
      throw TestBedFailure(
        """
        \(error)
        -- \(coordinator.daemon.name):
        \(coordinator.daemon.logTail)
        -- the agent of \(host.name):
        \(agent.daemon.logTail)
        -- its libvirtd:
        \(libvirt.daemon.logTail)
        \(await host.report())
        \(await filer.report())
        """)
    }
  }

  /// As on a server that somebody has set up by hand. nfsdcld knows which clients there were, and the time of grace for them to
  /// come back, after which they would have lost their locks, ends when all have. Harmless when repeated.
  private static let exporting = """
    set -e
    modprobe nfsd
    blkid /dev/ubdb >/dev/null || mkfs.ext4 -q /dev/ubdb
    mkdir -p \(folder) /var/lib/nfs/rpc_pipefs /var/lib/nfs/nfsdcld /run/rpcbind
    mountpoint -q \(folder) || mount /dev/ubdb \(folder)
    chmod 700 \(folder)
    mountpoint -q /proc/fs/nfsd || mount -t nfsd nfsd /proc/fs/nfsd
    mountpoint -q /var/lib/nfs/rpc_pipefs || mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
    echo '\(folder) *(rw,no_root_squash,no_subtree_check,sync,fsid=1)' >/etc/exports
    pidof rpcbind >/dev/null || rpcbind -w
    pidof nfsdcld >/dev/null || nfsdcld -p /var/lib/nfs/rpc_pipefs
    exportfs -ra
    pidof rpc.mountd >/dev/null || rpc.mountd -p 20048
    rpc.nfsd -G 60 -L 10 4
    """
}
