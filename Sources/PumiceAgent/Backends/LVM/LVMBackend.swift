import FoundationEssentials
public import Logging
public import PumiceModel
import PumiceWire

/// Volumes as logical volumes of a volume group: thin ones in a pool, or thick ones.
///
/// The group is one pool, named like the backend. What is to be known about a volume is in its name and tags (`LVMName`,
/// `LVMTags`); which of them count is said by `LVMCatalog`. A volume is active only while somebody uses it.
public struct LVMBackend: ActivatingBackend {
  public let name: String
  let configuration: LVMBackendConfiguration
  let lvm: any LogicalVolumeManager
  let devices: any BlockDevices
  let bytes: LVMBytes
  let holds = ActivationHolds()
  /// Held while a volume, or a snapshot of it, is made a copy's source, taken away, or merged.
  let sources = KeyedLock<VolumeID>()
  /// Held while a copy goes on, or is given up.
  let copies = KeyedLock<VolumeID>()
  /// Held while the thin pool is told what it has missed.
  let deliveries = KeyedLock<String>()
  let logger: Logger

  /// Checks the group, makes the thin pool where there is none, and removes what crashes have left.
  ///
  /// Throws `invalid` for a configuration that can't work, `missingPart` with the commands to run when there is no such
  /// group, `conflict` when the thin pool's name is taken by something else, `noSpace` when there is no room for it.
  public static func open(
    _ configuration: LVMBackendConfiguration, logger: Logger
  ) async throws(StorageError) -> LVMBackend {
    try configuration.validate()
    let lvm = LVM(group: configuration.volumeGroup, logger: logger)
    let backend = LVMBackend(configuration, lvm: lvm, devices: KernelBlockDevices(), logger: logger)
    do throws(StorageError) {
      try await lvm.resumeSuspended()
    } catch  where error.code == .notFound {
      throw Self.missing(configuration.volumeGroup, error)
    }
    try await backend.prepare()
    return backend
  }

  init(
    _ configuration: LVMBackendConfiguration, lvm: any LogicalVolumeManager, devices: any BlockDevices,
    slice: Duration = .seconds(2), logger: Logger
  ) {
    name = configuration.name
    self.configuration = configuration
    self.lvm = lvm
    self.devices = devices
    bytes = LVMBytes(slice: slice, bandwidth: configuration.wipeBandwidth)
    self.logger = logger
  }

  static func missing(_ group: String, _ cause: StorageError) -> StorageError {
    StorageError(
      .missingPart,
      "There is no volume group \(group). Make it of one or more empty disks: pvcreate --metadatasize 16m DISK && vgcreate \(group) DISK",
      cause: cause)
  }

  // MARK: What is there

  var isThin: Bool { configuration.provisioning == .thin }

  /// What is in the group, and in its thin pool: what a crash has kept from the pool is brought to its end first.
  func catalog(_ freshness: Freshness = .known) async throws(StorageError) -> LVMCatalog {
    let catalog = try await writtenDown(freshness)
    guard catalog.hasPendingMessages else { return catalog }
    try await deliverPendingMessages()
    return try await writtenDown(.known)
  }

  /// What is in the group by LVM's word alone.
  func writtenDown(_ freshness: Freshness = .known) async throws(StorageError) -> LVMCatalog {
    do throws(StorageError) {
      return LVMCatalog(
        try await lvm.group(freshness), thinPool: isThin ? configuration.thinPool : nil, pool: name)
    } catch  where error.code == .notFound {
      // Nobody must take that for a volume that is not there.
      throw StorageError(
        .unavailable,
        "Volume group \(configuration.volumeGroup) is not to be found: its disks are gone, or can't be read.",
        cause: error)
    }
  }

  public func volumes() async throws(StorageError) -> [StoredVolume] { try await catalog().volumes }

  public func volume(_ id: VolumeID) async throws(StorageError) -> StoredVolume? { try await catalog().stored(id) }

  public func snapshots() async throws(StorageError) -> [StoredSnapshot] { try await catalog().snapshots }

  // MARK: For all operations

  func require(pool: String) throws(StorageError) {
    guard pool == name else {
      throw StorageError(.notFound, "Backend \(name) has no pool \(pool); its only pool is \(name).")
    }
  }

  func requireNoForeign(_ name: LVMName, in catalog: LVMCatalog) throws(StorageError) {
    guard let foreign = catalog.foreign(name) else { return }
    let place = "\(catalog.group.name)/\(foreign.name)"
    throw StorageError(
      .conflict,
      foreign.isOurs
        ? "\(place) is there already, outside of backend \(self.name): it belongs to another backend in the same group."
        : "\(place) is there already and has no tag \(LVMTags.mark), so it is somebody else's. It is left alone."
    )
  }

  /// Throws `noSpace` or `unavailable` when the pool should not take anything new.
  func requireRoom(in catalog: LVMCatalog, _ attempt: @autoclosure () -> String) throws(StorageError) {
    if let refusal = PoolGuard(configuration: configuration).refusal(in: catalog, attempt()) { throw refusal }
  }

  func requireAddressable(_ size: ByteCount, in group: VolumeGroup, _ attempt: @autoclosure () -> String)
    throws(StorageError)
  {
    // LVM counts extents in 32 bits.
    guard group.extents(for: size) < Int64(UInt32.max) else {
      throw StorageError(
        .noSpace,
        "\(attempt()) failed: with extents of \(group.extentSize), volume group \(group.name) can't address \(size).")
    }
  }

  static var now: Timestamp { Timestamp(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) }
}
