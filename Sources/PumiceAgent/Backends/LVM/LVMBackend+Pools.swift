import Logging
public import PumiceModel

extension LVMBackend {
  public func pools() async -> [PoolReport] {
    var report = PoolReport(
      backend: name, pool: name, total: .zero, free: .zero, isThin: isThin,
      reservedPercentage: configuration.reservedPercentage,
      maxOverSubscriptionRatio: isThin ? configuration.maxOverSubscriptionRatio : 1, capabilities: capabilities)
    do throws(StorageError) {
      var catalog = try await catalog(.live)
      if let thinPool = catalog.thinPool, let pool = catalog.group[thinPool], !pool.isActive {
        // Inactive, it does not say how full it is.
        try await lvm.run(.activate(name: thinPool))
        catalog = try await self.catalog(.live)
      }
      fill(&report, from: catalog)
    } catch {
      report.downReason = error.message
    }
    return [report]
  }

  func fill(_ report: inout PoolReport, from catalog: LVMCatalog) {
    let group = catalog.group
    let poolGuard = PoolGuard(configuration: configuration)
    if let thinPool = catalog.thinPool {
      if let pool = group[thinPool], pool.kind == .thinPool {
        report.total = pool.size
        report.free = pool.dataPercent.map { pool.size.scaled(by: max(0, 100 - $0) / 100) } ?? .zero
        report.dataPercent = pool.dataPercent
        report.metadataPercent = pool.metadataPercent
      }
      report.foreignProvisioned = group.logicalVolumes.values.filter {
        $0.pool == thinPool && $0.kind == .thin && !catalog.isAccountedFor($0)
      }.reduce(.zero) { $0 + $1.size }
    } else {
      report.total = group.size
      report.free = group.free
      let ours = catalog.entries.filter { catalog.isAccountedFor($0.volume) }.reduce(ByteCount.zero) {
        $0 + $1.volume.size
      }
      report.foreignProvisioned = max(.zero, group.size - group.free - ours)
    }
    report.downReason = poolGuard.downReason(in: catalog)
    let warnings = poolGuard.warnings(in: catalog)
    report.warnings = warnings.isEmpty ? nil : warnings
  }

  private var capabilities: [String: [String]] {
    let reported = [
      "storage_protocol": ["iSCSI"], "volume_backend_name": [name], "vendor_name": ["Pumice"], "driver": ["lvm"],
      "driver_version": ["1.0"], "thin_provisioning_support": [isThin ? "True" : "False"],
      "thick_provisioning_support": [isThin ? "False" : "True"], "online_extend_support": ["True"],
      "QoS_support": ["False"],
    ]
    return reported.merging(configuration.capabilities) { _, configured in configured }
  }
}
