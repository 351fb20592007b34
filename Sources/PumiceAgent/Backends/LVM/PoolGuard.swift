import PumiceModel

/// Refuses what would bring a pool to harm, before it does: a thin pool whose data or metadata runs full fails every volume
/// in it, and a group whose metadata area is full can't even be cleaned up.
struct PoolGuard: Sendable {
  let configuration: LVMBackendConfiguration

  /// Why nothing can be added now; `nil` when it can. `noSpace` with the figures, or `unavailable` for a pool that is ill.
  func refusal(in catalog: LVMCatalog, _ attempt: @autoclosure () -> String) -> StorageError? {
    let group = catalog.group
    if let reason = downReason(in: catalog) { return StorageError(.unavailable, "\(attempt()) failed: \(reason)") }
    let areaFree = percent(group.metadataFree, of: group.metadataSize)
    if areaFree < configuration.minMetadataAreaFree {
      return StorageError(
        .noSpace,
        "\(attempt()) failed: the metadata area of volume group \(group.name) has \(group.metadataFree) of \(group.metadataSize) left, and \(text(configuration.minMetadataAreaFree)) % are kept (min_mda_free)."
      )
    }
    guard let name = catalog.thinPool, let pool = group[name] else { return nil }
    if let data = pool.dataPercent, data >= configuration.maxDataPercent {
      return StorageError(
        .noSpace,
        "\(attempt()) failed: thin pool \(group.name)/\(name) of \(pool.size) is \(text(data)) % full, and nothing new is put into it from \(text(configuration.maxDataPercent)) % on (max_data_percent)."
      )
    }
    if let metadata = pool.metadataPercent, metadata >= configuration.maxMetadataPercent {
      return StorageError(
        .noSpace,
        "\(attempt()) failed: the metadata of thin pool \(group.name)/\(name) is \(text(metadata)) % full, and nothing new is put into it from \(text(configuration.maxMetadataPercent)) % on (max_metadata_percent)."
      )
    }
    return nil
  }

  /// Why the pool can't be used at all; `nil` when it can.
  func downReason(in catalog: LVMCatalog) -> String? {
    let group = catalog.group
    if let obstacle = group.obstacle { return "Volume group \(group.name) can't be changed: \(obstacle)." }
    let missing = group.physicalVolumes.filter(\.isMissing)
    if !missing.isEmpty {
      let names = missing.map { "\($0.name) (\($0.uuid))" }.joined(separator: ", ")
      return
        "Volume group \(group.name) misses \(missing.count) of its \(group.physicalVolumes.count) physical volumes: \(names)."
    }
    guard let name = catalog.thinPool else { return nil }
    guard let pool = group[name] else { return "Volume group \(group.name) has no thin pool \(name)." }
    let subject = "Thin pool \(group.name)/\(name)"
    if pool.kind != .thinPool { return "\(group.name)/\(name) is no thin pool." }
    if !pool.zeroesChunks {
      return
        "\(subject) does not zero new chunks, so that volumes would show bytes of deleted ones. Change that with: lvchange --zero y \(group.name)/\(name)"
    }
    switch pool.health {
    case .good: return nil
    case .failed: return "\(subject) has failed; see dmesg, then lvconvert --repair \(group.name)/\(name)."
    case .outOfData:
      return "\(subject) has run out of data space, and writes to it wait or fail. Extend it or delete volumes."
    case .metadataReadOnly:
      return
        "\(subject) is read-only, since its metadata ran full, or could not be written: see dmesg. Extend it with lvextend --poolmetadatasize; or have it repaired while nobody uses it, with lvconvert --repair \(group.name)/\(name)."
    case .needsCheck: return "\(subject) needs a check: deactivate it, and lvconvert --repair \(group.name)/\(name)."
    case .partial: return "\(subject) lies on a physical volume that is missing."
    }
  }

  /// What an operator should look at before it becomes a refusal.
  func warnings(in catalog: LVMCatalog) -> [String] {
    let group = catalog.group
    var warnings: [String] = []
    if percent(group.metadataFree, of: group.metadataSize) < configuration.minMetadataAreaFree * 2 {
      warnings.append("The metadata area of volume group \(group.name) has \(group.metadataFree) left.")
    }
    if let name = catalog.thinPool, let pool = group[name] {
      if let data = pool.dataPercent, data >= configuration.extendAt {
        warnings.append("Thin pool \(name) is \(text(data)) % full.")
      }
      if let metadata = pool.metadataPercent, metadata >= min(configuration.extendAt, configuration.maxMetadataPercent)
      {
        warnings.append("The metadata of thin pool \(name) is \(text(metadata)) % full.")
      }
    }
    for (_, volume) in catalog.entries where volume.kind == .thickSnapshot {
      if volume.isInvalid {
        warnings.append("Snapshot \(volume.name) ran full, and what it held is lost.")
      } else if configuration.snapshotReserve < 100, let data = volume.dataPercent, data >= configuration.extendAt {
        warnings.append("Snapshot \(volume.name) is \(text(data)) % full.")
      }
    }
    return warnings
  }

  private func percent(_ part: ByteCount, of whole: ByteCount) -> Double {
    whole > .zero ? Double(part.bytes) / Double(whole.bytes) * 100 : 100
  }

  private func text(_ percent: Double) -> String {
    let tenths = Int64((percent * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(abs(tenths % 10))"
  }
}
