import Logging
import PumiceModel

extension LVMBackend {
  /// Has LVM tell the thin pool what a crash has kept from it (`PendingMessages`): it does that when the next volume is made.
  /// That volume lives for a moment, and is swept if it lives longer.
  ///
  /// What is a snapshot of an active volume is given up before: LVM would have it taken under the hands of whoever writes,
  /// without holding writes back (linux, Documentation/admin-guide/device-mapper/thin-provisioning.rst, "Internal snapshots").
  /// So is what LVM refuses to tell. Nobody was told that these are there.
  func deliverPendingMessages() async throws(StorageError) {
    try await deliveries.withLock(configuration.thinPool) { () async throws(StorageError) in
      let catalog = try await writtenDown()
      guard catalog.hasPendingMessages else { return }
      let creations = catalog.pendingCreations
      logger.notice(
        "thin pool is told what it has missed",
        metadata: ["backend.name": "\(name)", "lvm.lvs": "\(creations.map(\.name))"])
      func isActive(_ name: String) -> Bool { catalog.group[name]?.isActive ?? false }
      for snapshot in creations where snapshot.origin.map(isActive) ?? false {
        try await giveUp(snapshot, "its origin is active")
      }
      let passing = LVMName.making(.random()).description
      do throws(StorageError) {
        try await lvm.run(
          .createThin(
            name: passing, pool: configuration.thinPool, size: catalog.group.extentSize, tags: [LVMTags.mark]),
          .remove(name: passing))
      } catch {
        let creations = try await writtenDown().pendingCreations
        guard !creations.isEmpty else {
          throw StorageError(
            error.code,
            "Thin pool \(catalog.group.name)/\(configuration.thinPool) can't be told what a crash has kept from it. \(error.message)",
            cause: error)
        }
        for volume in creations { try await giveUp(volume, error.message) }
      }
    }
  }

  private func giveUp(_ creation: LogicalVolume, _ reason: String) async throws(StorageError) {
    logger.warning(
      "creation that was cut off is given up", metadata: ["lvm.lv": "\(creation.name)", "error": "\(reason)"])
    try await lvm.run(.remove(name: creation.name))
  }
}
