import CLibvirt
public import Logging
public import PumiceModel
public import ServiceLifecycle

/// libvirt's domains as instances, through its C library.
///
/// Connects when first asked. `run()` keeps the connection up, so that events arrive without anybody asking; without it
/// everything else works all the same.
///
/// CHAP secrets are libvirt secrets that live as long as libvirtd: after `.reconnected` each attachment wants to be
/// plugged once more, which puts them back and leaves the disks as they are.
public final class LibvirtHypervisor: Hypervisor, Service {
  let connection: LibvirtConnection
  let gate = InstanceGate()
  let removalTimeout: Duration
  let logger: Logger

  /// - Parameters:
  ///   - uri: such as `qemu:///system`, or `qemu+unix:///system?socket=…` for a daemon with a socket of its own.
  ///   - removalTimeout: how long `unplug` waits for the guest to let go of a disk.
  public init(
    uri: String = "qemu:///system", removalTimeout: Duration = .seconds(20), logger: Logger
  ) {
    connection = LibvirtConnection(uri: uri, events: LibvirtEvents())
    self.removalTimeout = removalTimeout
    self.logger = logger
  }

  public var kind: String { "libvirt" }

  public func events() -> AsyncStream<HypervisorEvent> { connection.events.hub.events() }

  /// Keeps connected until the task is cancelled or the service group shuts down.
  public func run() async throws {
    await cancelWhenGracefulShutdown { await self.stayConnected() }
    connection.close()
  }

  private func stayConnected() async {
    let shortest = Duration.milliseconds(250)
    let longest = Duration.seconds(10)
    var pause = shortest
    var breaks = connection.events.breaks.makeAsyncIterator()
    while !Task.isCancelled {
      do {
        try await connection.open()
        logger.info("Connected to libvirt", metadata: ["libvirt.uri": "\(connection.uri)"])
        pause = shortest
        guard await breaks.next() != nil else { return }
        logger.warning("Connection to libvirt broke", metadata: ["libvirt.uri": "\(connection.uri)"])
      } catch {
        if pause == shortest {
          logger.warning(
            "libvirt can't be reached", metadata: ["libvirt.uri": "\(connection.uri)", "error": "\(error)"])
        }
        try? await Task.sleep(for: pause)
        pause = min(pause * 2, longest)
      }
    }
  }

  public func instances() async throws(StorageError) -> [Instance] {
    let attempt = "Listing the instances of libvirt"
    return try await connection.call(attempt) { session throws(StorageError) in
      var transient: Set<InstanceID> = []
      try session.forEachDomain(flags: VIR_CONNECT_LIST_DOMAINS_TRANSIENT.rawValue, attempt) { domain in
        if let id = domain.id { transient.insert(id) }
      }
      var instances: [Instance] = []
      try session.forEachDomain(attempt) { domain throws(StorageError) in
        guard let id = domain.id else { return }
        instances.append(try domain.instance(id, isPersistent: !transient.contains(id), attempt))
      }
      return instances
    }
  }

  public func disks() async throws(StorageError) -> [PluggedDisk] {
    let attempt = "Listing the disks of libvirt's instances"
    return try await connection.call(attempt) { session throws(StorageError) in
      var disks: [PluggedDisk] = []
      try session.forEachDomain(attempt) { domain throws(StorageError) in
        guard let id = domain.id else { return }
        disks += try domain.state(attempt).pluggedDisks(of: id)
      }
      return disks
    }
  }
}

extension DomainHandle {
  fileprivate func instance(
    _ id: InstanceID, isPersistent: Bool, _ attempt: String
  ) throws(StorageError) -> Instance {
    var info = virDomainInfo()
    guard virDomainGetInfo(pointer, &info) == 0 else { throw LibvirtError().storageError(attempt) }
    return Instance(
      id: id, name: virDomainGetName(pointer).map { String(cString: $0) } ?? "", status: .init(libvirt: info.state),
      isPersistent: isPersistent, vcpus: Int(info.nrVirtCpu), memory: ByteCount(Int64(info.maxMem) << 10))
  }
}

extension Instance.Status {
  /// Nova's word for a `virDomainState`.
  init(libvirt state: UInt8) {
    self =
      switch virDomainState(UInt32(state)) {
      // A domain that is being shut down still runs.
      case VIR_DOMAIN_RUNNING, VIR_DOMAIN_BLOCKED, VIR_DOMAIN_SHUTDOWN: .active
      case VIR_DOMAIN_PAUSED: .paused
      case VIR_DOMAIN_PMSUSPENDED: .suspended
      case VIR_DOMAIN_SHUTOFF: .shutOff
      case VIR_DOMAIN_CRASHED: .error
      default: .unknown
      }
  }
}
