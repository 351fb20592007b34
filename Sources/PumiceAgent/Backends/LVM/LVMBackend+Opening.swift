import Logging
import PumiceModel

extension LVMBackend {
  /// Makes the thin pool where there is none, and removes what crashes have left.
  func prepare() async throws(StorageError) {
    if isThin { try await prepareThinPool() }
    let catalog = try await writtenDown(.live)
    if let reason = PoolGuard(configuration: configuration).downReason(in: catalog) {
      // The pool is reported down, and others of this node are served.
      logger.error("pool is down", metadata: ["backend.name": "\(name)", "error": "\(reason)"])
      return
    }
    let removed = try await sweep()
    if !removed.isEmpty {
      logger.notice("leavings removed", metadata: ["backend.name": "\(name)", "lvm.lvs": "\(removed)"])
    }
    await endReverts()
  }

  /// Ends reverts that were cut off, as far as a slice goes.
  func endReverts() async {
    for id in (try? await catalog())?.revertsUnderWay ?? [] {
      do throws(StorageError) {
        _ = try await settle(id)
      } catch {
        logger.error("revert stays unfinished", metadata: ["volume.id": "\(id)", "error": "\(error)"])
      }
    }
  }

  /// Gives up copies that nobody has asked for since `grace`, or since the agent's start, so long ago.
  func giveUpCopies(after grace: Duration) async throws(StorageError) {
    for id in try await catalog().copiesUnderWay {
      let name = LVMName.making(id).description
      try await copies.withLock(id) { () async throws(StorageError) in
        guard !bytes.mayBeAsked(name, within: grace) else { return }
        logger.notice("copy given up", metadata: ["volume.id": "\(id)"])
        try await giveUp(id)
      }
    }
  }

  /// Returns the names of what is gone, or is being wiped.
  func sweep() async throws(StorageError) -> [String] {
    var removed: [String] = []
    for (name, volume) in try await catalog().leavings {
      do throws(StorageError) {
        try await condemn(volume, name)
        removed.append(volume.name)
      } catch {
        // Whoever next asks for the volume, or its removal, tries again.
        logger.error("leaving stays", metadata: ["lvm.lv": "\(volume.name)", "error": "\(error)"])
      }
    }
    return removed
  }

  /// What an operator is told about the group before the agent runs. Changes nothing.
  static func summary(_ configuration: LVMBackendConfiguration) async throws(StorageError) -> String {
    let lvm = LVM(group: configuration.volumeGroup, logger: Agent.logger(level: .critical))
    let group: VolumeGroup
    do throws(StorageError) {
      group = try await lvm.group(.live)
    } catch  where error.code == .notFound {
      throw missing(configuration.volumeGroup, error)
    }
    let isThin = configuration.provisioning == .thin
    let catalog = LVMCatalog(group, thinPool: isThin ? configuration.thinPool : nil, pool: configuration.name)
    let free = "Volume group \(group.name): \(group.free) of \(group.size) free"
    if isThin, group[configuration.thinPool] == nil {
      guard let plan = ThinPoolPlan(in: group) else {
        throw StorageError(.noSpace, "\(free), which is too little for a thin pool.")
      }
      return "\(free); thin pool \(configuration.thinPool) of \(plan.size) will be made."
    }
    if let reason = PoolGuard(configuration: configuration).downReason(in: catalog) {
      throw StorageError(.failed, reason)
    }
    return "\(free)\(isThin ? ", thin pool \(configuration.thinPool)" : ""); \(catalog.volumes.count) volumes."
  }

  // MARK: Thin pool

  private func prepareThinPool() async throws(StorageError) {
    let name = configuration.thinPool
    var group = try await lvm.group(.live)
    if group[name] == nil {
      guard let plan = ThinPoolPlan(in: group) else {
        throw StorageError(
          .noSpace,
          "Volume group \(group.name) has no thin pool \(name), and only \(group.free) free to make one of."
        )
      }
      do throws(StorageError) {
        try await lvm.run(
          .createThinPool(name: name, size: plan.size, metadata: plan.metadata, chunk: plan.chunk))
        logger.notice(
          "thin pool made",
          metadata: [
            "lvm.vg": "\(group.name)", "lvm.lv": "\(name)", "lvm.size": "\(plan.size)", "lvm.chunk": "\(plan.chunk)",
          ])
      } catch  where error.code == .conflict {
        // Somebody else has made it meanwhile.
      }
      group = try await lvm.group(.live)
    }
    guard let pool = group[name] else {
      throw StorageError(.failed, "Thin pool \(group.name)/\(name) was made, but it is not there afterwards.")
    }
    guard pool.kind == .thinPool else {
      throw StorageError(.conflict, "\(group.name)/\(name) is no thin pool; configure another thin_pool.")
    }
    guard pool.zeroesChunks else {
      throw StorageError(
        .forbidden,
        "Thin pool \(group.name)/\(name) does not zero new chunks, so that volumes would show bytes of deleted ones. Change that with: lvchange --zero y \(group.name)/\(name)"
      )
    }
    if !pool.isActive { try await lvm.run(.activate(name: name)) }
  }
}

/// How large a new thin pool and its parts shall be.
struct ThinPoolPlan: Equatable {
  let size: ByteCount
  let metadata: ByteCount
  let chunk: ByteCount

  /// LVM makes no larger metadata usable (lvmthin(7), "Metadata space exhaustion").
  private static let largestMetadata = ByteCount(16_184 << 20)
  private static let leastMetadata = ByteCount.mebibytes(32)

  /// Nearly all of what is free: a twentieth stays for metadata to grow into. `nil` when there is too little.
  ///
  /// A chunk takes 64 bytes of metadata at most, and about 19 as measured in the field; snapshots whose volumes are written
  /// to have chunks of their own. Chunks are as small as they can be with up to 2 GiB of metadata: snapshots copy whole ones.
  init?(in group: VolumeGroup) {
    let usable = group.free.scaled(by: 0.95)
    var chunk: Int64 = 64 << 10
    while usable.bytes / chunk * 64 > 2 << 30, chunk < 1 << 20 { chunk *= 2 }
    let wanted = group.roundedUp(ByteCount(usable.bytes / chunk * 64))
    let metadata = min(max(wanted, group.roundedUp(Self.leastMetadata)), Self.largestMetadata)
    // The metadata has a spare of its size, for repairs.
    let size = (usable.bytes - metadata.bytes * 2) / group.extentSize.bytes * group.extentSize.bytes
    guard size >= max(group.extentSize.bytes, metadata.bytes) else { return nil }
    self.size = ByteCount(size)
    self.metadata = metadata
    self.chunk = ByteCount(chunk)
  }
}
