import Foundation
public import PumiceModel

/// All of Pumice on one machine: coordinator, one agent, tgtd, libvirtd and a guest, all real and all in one bed.
public struct LoopbackFleet: Sendable {
  public let bed: Bed
  public let coordinator: CoordinatorDaemon
  public let agent: AgentDaemon
  public let target: TargetDaemon
  public let libvirt: LibvirtDaemon
  public let guest: Guest

  public var api: API { coordinator.api() }

  /// Prepares everything; nothing runs yet.
  ///
  /// - Parameters:
  ///   - backends: The agent's, as its configuration file lists them; a directory if there are none.
  ///   - authentication: The coordinator's, as its configuration file has it.
  public init(in bed: Bed, backends: String? = nil, authentication: String = "auth: none") async throws {
    self.bed = bed
    let image = try await GuestImage.prepare(in: bed)
    target = try TargetDaemon(in: bed)
    libvirt = try LibvirtDaemon(in: bed)
    coordinator = try CoordinatorDaemon(in: bed, authentication: authentication)
    agent = try AgentDaemon(coordinator: coordinator, target: target, libvirt: libvirt, in: bed, backends: backends)
    guest = Guest(image: image, libvirt: libvirt, in: bed)
  }

  /// Starts the daemons and defines the guest; returns when the coordinator knows the node.
  public func startDaemons() async throws {
    async let target: Void = target.start()
    async let libvirt: Void = libvirt.start()
    async let coordinator: Void = coordinator.daemon.start()
    _ = try await (target, libvirt, coordinator)
    try await agent.daemon.start()
    try await telling {
      try await eventually("the coordinator knows the node's pool") {
        !(try await api.get("/v3/\(api.project)/scheduler-stats/get_pools")["pools"].array.isEmpty)
      }
    }
  }

  /// Boots the guest; returns when it is up and the coordinator knows it.
  public func bootGuest() async throws {
    try await guest.start()
    try await telling { try await api.waitForInstance(guest.id) }
  }

  /// Starts all and returns when the guest is up and known.
  public func start() async throws {
    try await startDaemons()
    try await bootGuest()
  }

  /// Where the directory backend keeps the volume's bytes.
  public func backingFile(of volume: VolumeID) throws -> String {
    let names = try FileManager.default.contentsOfDirectory(atPath: agent.volumes)
    guard let name = names.first(where: { $0.contains("\(volume)") && !$0.hasSuffix(".json") }) else {
      throw TestBedFailure("No file of volume \(volume) in \(agent.volumes): \(names)")
    }
    return "\(agent.volumes)/\(name)"
  }

  /// The sha256 of the first bytes of the volume, read from the backing file.
  public func sha256(ofBackingFileOf volume: VolumeID, count: ByteCount) async throws -> String {
    let file = try backingFile(of: volume)
    return String(try await bed.run(["sh", "-c", "head -c \(count.bytes) '\(file)' | sha256sum"]).prefix(64))
  }

  /// Returns when the guest sees the volume with this size, and with its id as serial number.
  public func waitForDisk(
    of volume: VolumeID, size: ByteCount, within deadline: Duration = .seconds(60)
  ) async throws -> Guest.Disk {
    try await guest.waitForDisk(of: volume, size: size, within: deadline)
  }

  /// Returns when the guest does not see the volume any more.
  public func waitUntilUnplugged(_ volume: VolumeID, within deadline: Duration = .seconds(60)) async throws {
    try await guest.waitUntilUnplugged(volume, within: deadline)
  }

  /// Does the work; when it fails, adds what the logs of the daemons say.
  public func telling<Result>(_ work: () async throws -> Result) async throws -> Result {
    do { return try await work() } catch {
      throw TestBedFailure(
        """
        \(error)
        -- \(coordinator.daemon.name):
        \(coordinator.daemon.logTail)
        -- \(agent.daemon.name):
        \(agent.daemon.logTail)
        """)
    }
  }
}
