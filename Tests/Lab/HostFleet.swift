import LabBed
import PumiceModel
import TestBed

/// A storage node and a host, both in the lab: the host itself is the instance, and its kernel logs in to the targets. The
/// coordinator is a program of this machine in the lab's network.
struct HostFleet: Sendable {
  let coordinator: CoordinatorDaemon
  let storage: LabMachine
  let host: LabMachine
  let api: API
  private let kind: LabStorage

  /// Prepares everything; nothing runs yet.
  init(storage kind: LabStorage, hostPreparation: String, in bed: Bed) async throws {
    let lab = try await Lab(in: bed)
    coordinator = try CoordinatorDaemon(in: bed, on: lab.network, extra: "allow_unauthenticated_remote: true")
    api = API(url: try await lab.url(ofServiceAt: coordinator.address))
    storage = try kind.machine(in: lab, coordinator: coordinator)
    host = try LabMachine(
      lab.node("host", number: 12), coordinator: coordinator, of: lab, preparation: hostPreparation,
      drivers: "hypervisor: {kind: host}")
    self.kind = kind
  }

  /// Lends one that runs, in a bed of its own.
  ///
  /// - Parameter hostPreparation: What is run on the host after each boot, before its agent starts.
  static func with(
    _ storage: LabStorage, hostPreparation: String = "true", _ work: (HostFleet) async throws -> Void
  ) async throws {
    try await Bed.with { bed in
      let fleet = try await HostFleet(storage: storage, hostPreparation: hostPreparation, in: bed)
      try await fleet.telling {
        try await fleet.start()
        try await work(fleet)
      }
    }
  }

  private func start() async throws {
    async let storage: Void = storage.start()
    async let host: Void = host.start()
    async let coordinator: Void = coordinator.daemon.start()
    _ = try await (storage, host, coordinator)
    try await eventually("the coordinator knows the storage node's pool") {
      !(try await api.get("/v3/\(api.project)/scheduler-stats/get_pools")["pools"].array.isEmpty)
    }
  }

  /// The host as the coordinator knows it.
  func instance() async throws -> InstanceID {
    try await eventually("the coordinator knows the host") {
      try await api.get("/compute/v2.1/servers")["servers"].array.first?["id"].string.flatMap { InstanceID($0) }
    }
  }

  /// A new volume of 1 GiB that the host has as a disk.
  func attachDisk(_ name: String = "data") async throws -> HostDisk {
    let instance = try await instance()
    let volume = try await api.createVolume(name: name, gibibytes: 1)
    try await api.waitForVolume(volume, status: "available")
    try await api.attach(volume, to: instance)
    let attached = try await api.waitForVolume(volume, status: "in-use")
    guard let attachment = attached["attachments"].array.first,
      let id = attachment["attachment_id"].string, let device = attachment["device"].string
    else { throw TestBedFailure("Volume \(volume) is in use, and says: \(attached)") }
    return HostDisk(volume: volume, instance: instance, attachment: id, device: device)
  }

  /// Returns when the host has it no more.
  func detach(_ disk: HostDisk) async throws {
    try await api.detach(disk.volume, from: disk.instance)
    try await api.waitForVolume(disk.volume, status: "available")
  }

  /// What `pumice doctor` would say, as kinds and resources.
  func findings() async throws -> [String] {
    try await api.get("/pumice/v1/doctor")["findings"].array.map {
      "\($0["kind"].string ?? "?") \($0["resource"].string ?? "?")"
    }
  }

  // MARK: Bytes

  /// Writes random bytes past the host's memory and returns what sha256sum says of them.
  func writeRandom(
    mebibytes count: Int, to device: String, at offset: Int = 0, within deadline: Duration = .seconds(60)
  ) async throws -> String {
    try await host.node.run(
      """
      set -e -o pipefail
      head -c \(count << 20) /dev/urandom >/tmp/random
      dd if=/tmp/random of=\(device) bs=1M seek=\(offset) oflag=direct conv=fsync,notrunc status=none
      sha256sum </tmp/random
      """, within: deadline)
  }

  /// Of what the target has, and not the host's memory.
  func sum(mebibytes count: Int, of device: String, at offset: Int = 0) async throws -> String {
    try await host.node.run(
      """
      set -e -o pipefail
      dd if=\(device) bs=1M skip=\(offset) count=\(count) iflag=direct status=none | sha256sum
      """)
  }

  // MARK: What is left

  /// What connections have left on the host; nothing when there is nothing.
  func leavings() async throws -> String {
    try await host.node.run(
      """
      ls -A /sys/class/iscsi_session /run/pumice/disks /dev/disk/by-pumice /etc/iscsi/ifaces /etc/iscsi/nodes 2>/dev/null |
        grep -v ':$' | grep .
      ls /sys/block | grep -e ^sd -e ^dm-
      true
      """)
  }

  /// Returns when the storage node has no volume and no export any more: what was deleted has gone from the API before its
  /// bytes are wiped.
  func waitUntilNothingIsLeft() async throws { try await kind.waitUntilNothingIsLeft(on: storage.node) }

  /// Does the work; when it fails, adds what all parts have to say.
  private func telling(_ work: () async throws -> Void) async throws {
    do { try await work() } catch {
      throw TestBedFailure(
        """
        \(error)
        -- \(coordinator.daemon.name):
        \(coordinator.daemon.logTail)
        \(await host.report())
        \(await storage.report())
        """)
    }
  }
}

/// A volume as the host has it.
struct HostDisk: Sendable {
  let volume: VolumeID
  let instance: InstanceID
  let attachment: String
  let device: String
}
