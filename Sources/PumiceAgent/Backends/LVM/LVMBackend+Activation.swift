public import PumiceModel

extension LVMBackend {
  public func activate(_ id: VolumeID, pool: String) async throws(StorageError) {
    try require(pool: pool)
    try await requireSettled(id, "activated")
    let catalog = try await catalog()
    guard let volume = catalog.volume(id) else {
      throw StorageError(.notFound, "Volume \(id) can't be activated: it is not in volume group \(catalog.group.name).")
    }
    holds.hold(volume.name, .export)
    try await activate(volume, in: catalog.group)
  }

  public func deactivate(_ id: VolumeID, pool: String) async throws(StorageError) {
    let catalog = try await catalog()
    guard pool == name, let volume = catalog.volume(id) else { return }
    try await release(volume, .export, in: catalog.group)
  }

  /// Lets go of it, and deactivates it when nobody else holds it. Throws `inUse` while somebody unknown has it open.
  func release(
    _ volume: LogicalVolume, _ holder: ActivationHolds.Holder, in group: VolumeGroup
  ) async throws(StorageError) {
    guard holds.release(volume.name, holder) else { return }
    try await makeInactive(volume, in: group)
  }

  /// Throws `inUse` while somebody has it open.
  func makeInactive(_ volume: LogicalVolume, in group: VolumeGroup) async throws(StorageError) {
    // The device says more than what is known of the group: activation does not change metadata.
    let size = volume.kind == .thickSnapshot ? volume.originSize ?? volume.size : volume.size
    let isReady = await devices.isReady(group.path(of: volume.name), size: size)
    guard volume.isActive || isReady else { return }
    try await lvm.run(.deactivate(name: volume.name))
  }

  /// When it returns, the device is there and has the volume's size.
  func activate(_ volume: LogicalVolume, in group: VolumeGroup) async throws(StorageError) {
    let path = group.path(of: volume.name)
    if await devices.isReady(path, size: volume.size) { return }
    try await lvm.run(.activate(name: volume.name))
    if await devices.isReady(path, size: volume.size) { return }
    throw StorageError(
      .unavailable, "\(group.name)/\(volume.name) was activated, but \(path) is no device of \(volume.size).")
  }
}
