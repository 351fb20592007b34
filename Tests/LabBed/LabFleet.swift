import PumiceModel
public import TestBed

/// A fleet with a storage node in the lab. Coordinator, compute node, libvirtd and the guest's QEMU are programs of this
/// machine in the lab's network; QEMU reaches the volumes through libiscsi.
public struct LabFleet: Sendable {
  public let lab: Lab
  public let coordinator: CoordinatorDaemon
  public let storage: LabMachine
  public let computeAgent: AgentDaemon
  public let libvirt: LibvirtDaemon
  public let guest: Guest
  public let api: API
  private let kind: LabStorage

  /// Prepares everything; nothing runs yet.
  ///
  /// - Parameter reportInterval: How often the agents report, in seconds; 10 unless an operator says otherwise.
  public init(storage kind: LabStorage, in bed: Bed, reportInterval: Int = 1) async throws {
    lab = try await Lab(in: bed)
    coordinator = try CoordinatorDaemon(
      in: bed, on: lab.network, reportInterval: reportInterval, extra: "allow_unauthenticated_remote: true")
    api = API(url: try await lab.url(ofServiceAt: coordinator.address))
    storage = try kind.machine(in: lab, coordinator: coordinator, reportInterval: reportInterval)
    self.kind = kind
    libvirt = try LibvirtDaemon(in: bed, on: lab.network)
    computeAgent = try AgentDaemon(
      "compute", coordinator: coordinator, on: lab.network, in: bed, reportInterval: reportInterval,
      drivers: """
        hypervisor:
          kind: libvirt
          uri: \(libvirt.uri)
        """)
    guest = Guest(image: try await GuestImage.prepare(in: bed), libvirt: libvirt, in: bed)
  }

  /// Starts all and returns when the coordinator knows the storage node's pool and the running guest.
  public func start() async throws {
    try await startWithoutGuest()
    try await telling {
      try await guest.start()
      try await api.waitForInstance(guest.id)
    }
  }

  /// Starts all but the guest and returns when the coordinator knows the storage node's pool.
  public func startWithoutGuest() async throws {
    try await telling {
      async let storage: Void = storage.start()
      async let libvirt: Void = libvirt.start()
      async let coordinator: Void = coordinator.daemon.start()
      _ = try await (libvirt, coordinator)
      try await computeAgent.daemon.start()
      try await storage
      try await eventually("the coordinator knows the storage node's pool") {
        !(try await api.get("/v3/\(api.project)/scheduler-stats/get_pools")["pools"].array.isEmpty)
      }
    }
  }

  /// Makes so many domains that are shut off, and returns when the coordinator knows them. A volume that such a one gets is
  /// exported, logged in to, compared with its serial and put into the domain's stored configuration.
  public func defineGuests(_ count: Int) async throws -> [Guest] {
    let image = try await GuestImage.prepare(in: lab.bed)
    let guests = (1...count).map { Guest("guest-\($0)", image: image, libvirt: libvirt, in: lab.bed) }
    for guest in guests { try await guest.define() }
    for guest in guests { try await api.waitForInstance(guest.id, status: "SHUTOFF") }
    return guests
  }

  /// Returns when the storage node has no volume and no export any more: what was deleted has gone from the API before its
  /// bytes are wiped.
  public func waitUntilNothingIsLeft() async throws { try await kind.waitUntilNothingIsLeft(on: storage.node) }

  /// Does the work; when it fails, adds what all parts have to say.
  public func telling<Result>(_ work: () async throws -> Result) async throws -> Result {
    do { return try await work() } catch {
      throw TestBedFailure(
        """
        \(error)
        -- \(coordinator.daemon.name):
        \(coordinator.daemon.logTail)
        -- \(computeAgent.daemon.name):
        \(computeAgent.daemon.logTail)
        \(await storage.report())
        """)
    }
  }
}
